"""`conduit rollback` beside `temporal worker deployment set-current-version`, which does the least that can be done.

Both are whole processes and run in turns, each from one build to the other. The target for the difference of
the medians is at most 1.5 s. `conduit rollback` also sees to live workers, quarantines the bad build and waits until
the task queue knows of the change. Each begins when the one before is settled: the server takes a second for a
change that follows another at once, whoever makes it. From the repository's root:

    python -m benchmarks.rollback_beside_cli [--rounds 8]
"""

import argparse
import json
import statistics

from benchmarks.parts import ALGORITHM, CONDUIT, Stage, spread, stage, temporal_program, wall_time
from tests.parts.waiting import eventually_sync

TARGET = 1.5


def ours(build_id: str) -> list[str]:
    """The conduit's command."""
    return [*CONDUIT, "rollback", ALGORITHM, "--to", build_id, "--reason", "benchmark"]


def theirs(build_id: str) -> list[str]:
    """Temporal's own."""
    version = ["--deployment-name", ALGORITHM, "--build-id", build_id]
    return [str(temporal_program()), "worker", "deployment", "set-current-version", *version, "--yes"]


def settle(on: Stage) -> None:
    """Wait until the server calls the last change propagated."""
    eventually_sync(lambda: json.loads(on.conduit("status", ALGORITHM, "--json"))["propagated"])


def measure(on: Stage, rounds: int) -> tuple[list[float], list[float]]:
    """The seconds of the conduit's roll-backs and of Temporal's, in turns."""
    first = on.deliver()
    on.commit()
    second = on.deliver()
    conduit, temporal = [], []
    for number in range(rounds):
        settle(on)
        conduit.append(wall_time(ours(first), on.environment))
        settle(on)
        temporal.append(wall_time(theirs(second), on.environment))
        print(f"round {number + 1}: conduit {conduit[-1]:.2f} s, temporal {temporal[-1]:.2f} s", flush=True)
    return conduit, temporal


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    arguments = parser.parse_args()
    with stage() as on:
        conduit, temporal = measure(on, arguments.rounds)
    print(f"conduit rollback: {spread(conduit)}")
    print(f"temporal set-current-version: {spread(temporal)}")
    more = statistics.median(conduit) - statistics.median(temporal)
    print(f"conduit takes {more:.2f} s more (target: at most {TARGET} s)")


if __name__ == "__main__":
    main()
