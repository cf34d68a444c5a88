"""What `conduit --help` takes, beside a Python that does nothing.

Both are whole processes, run in turns. The target for the median is 0.3 s. From the repository's root:

    python -m benchmarks.help [--rounds 20]
"""

import argparse
import os
import statistics
import sys

from benchmarks.parts import CONDUIT, spread, wall_time

TARGET = 0.3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    commands = {"conduit --help": [*CONDUIT, "--help"], "python -c pass": [sys.executable, "-c", "pass"]}
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            taken[name].append(wall_time(command, dict(os.environ)))
    for name, seconds in taken.items():
        print(f"{name}: {spread(seconds)}")
    ours, bare = (statistics.median(seconds) for seconds in taken.values())
    print(f"conduit --help: {ours:.2f} s (target: {TARGET} s), {ours / bare:.1f} times a bare Python")


if __name__ == "__main__":
    main()
