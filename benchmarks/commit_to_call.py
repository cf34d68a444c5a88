"""From a commit to the first call that the new build answers, in a workflow that was already running.

Each round commits a change of the code alone and runs `conduit deliver --skip-tests`. The time goes from the
end of `git commit` to the moment at which the workflow, which calls all the time, has the first answer of
the new build. The target is at most 5 s. From the repository's root:

    python -m benchmarks.commit_to_call [--rounds 7]
"""

import argparse
import asyncio
import time

from benchmarks.parts import Calls, Handle, Stage, all_answered_by, leave, running_callers, spread, stage

TARGET = 5.0


async def one_round(on: Stage, caller: Handle) -> float:
    """Commit and deliver; return the seconds until the first answer of the new build."""
    on.commit()
    committed = time.time()
    build_id = await asyncio.to_thread(on.deliver)
    delivered = time.time()
    [seen] = await all_answered_by([caller], build_id)
    taken = seen.first_answers[build_id] - committed
    print(f"first answer after {taken:.2f} s; deliver ended after {delivered - committed:.2f} s", flush=True)
    return taken


async def measure(on: Stage, rounds: int) -> list[float]:
    """Run the rounds, with one workflow that runs through all of them."""
    async with running_callers(on, 1, Calls()) as [caller]:
        await all_answered_by([caller], await asyncio.to_thread(on.deliver))
        return [await one_round(on, caller) for _ in range(rounds)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with stage() as on:
        taken = asyncio.run(measure(on, arguments.rounds))
    print(f"commit to call: {spread(taken)} (target: at most {TARGET:.0f} s)")


if __name__ == "__main__":
    main()
    leave()
