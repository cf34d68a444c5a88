"""False alarms: releases in a row of builds that differ harmlessly, under load, ramped, judged and watched.

Every one has to go live. Twenty workflows call all the time; each call takes a tenth of a second. The target is 50
releases without a false alarm and without a failed call. From the repository's root:

    python -m benchmarks.harmless_releases [--releases 50]
"""

import argparse
import asyncio
import time

from benchmarks.parts import PROJECT, Caller, Calls, Stage, running_callers, spread, stage
from tests.parts.repos import commit

WORKFLOWS = 20
# What the gates take is measured elsewhere.
SETTINGS = """
[tool.conduit.gates]
replay.calls = 0

[tool.conduit.release]
steps = [{ ramp = 20, for = "3s" }]
min-calls = 10
inconclusive-limit = "10s"
watch = "3s"
"""


async def measure(on: Stage, releases: int) -> tuple[list[float], int, int]:
    """Release again and again; return the seconds that each took, the false alarms and the failed calls."""
    table, _, _ = PROJECT.partition("\n[tool.conduit.release]")
    commit(on.repo, {"pyproject.toml": table + SETTINGS})
    await asyncio.to_thread(on.deliver)
    took, alarms = [], 0
    async with running_callers(on, WORKFLOWS, Calls(hold=0.1, pause=0.6)) as callers:
        for number in range(releases):
            on.commit()
            begun = time.monotonic()
            try:
                await asyncio.to_thread(on.deliver)
            except RuntimeError as error:
                alarms += 1
                print(error, flush=True)
            took.append(time.monotonic() - begun)
            print(f"{number + 1}: {took[-1]:.1f} s, {alarms} false alarms so far", flush=True)
        seen = await asyncio.gather(*(caller.query(Caller.seen) for caller in callers))
    return took, alarms, sum(calls.failed for calls in seen)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--releases", type=int, default=50)
    arguments = parser.parse_args()
    with stage() as on:
        took, alarms, failed = asyncio.run(measure(on, arguments.releases))
    print(
        f"releases: {len(took)}, {spread(took)}; false alarms: {alarms} (target: 0); failed calls: {failed}"
    )


if __name__ == "__main__":
    main()
