"""Calls that fail or are lost while running workflows see promotions and roll-backs.

Each change is a delivery of a new commit or, in turns, a roll-back. The next one begins when each workflow has
been answered by the build that is live. Calls are held for half a second, so that some are under way at each change,
and have one attempt, so that no retry hides a loss. The target is none. From the repository's root:

    python -m benchmarks.lost_calls [--workflows 200] [--changes 10] [--pause 4]
"""

import argparse
import asyncio
import json
from collections.abc import Sequence

from temporalio.client import WorkflowFailureError

from benchmarks.parts import (
    ALGORITHM,
    DEADLINE,
    Caller,
    Calls,
    Handle,
    Stage,
    all_answered_by,
    leave,
    running_callers,
    stage,
)

HOLD = 0.5


def change(on: Stage, number: int) -> str:
    """Promote a new commit, or roll it back; return the build that is live then."""
    if number % 2:
        told = json.loads(on.conduit("rollback", ALGORITHM, "--reason", "benchmark", "--json"))
        return str(told["build_id"])
    on.commit()
    return on.deliver()


async def measure(on: Stage, workflows: int, changes: int, pause: float) -> list[Calls | str]:
    """Make the changes; return what each workflow saw, or how it ended."""
    first = await asyncio.to_thread(on.deliver)
    async with running_callers(on, workflows, Calls(hold=HOLD, pause=pause)) as callers:
        await all_answered_by(callers, first)
        for number in range(changes):
            build_id = await asyncio.to_thread(change, on, number)
            await all_answered_by(callers, build_id)
            what = "rolled back to" if number % 2 else "promoted"
            print(f"{number + 1}: {what} {build_id}; it answers all {workflows} workflows", flush=True)
        return list(await asyncio.gather(*map(finish, callers)))


async def finish(caller: Handle) -> Calls | str:
    """Let a workflow end."""
    await caller.signal(Caller.finish)
    try:
        async with asyncio.timeout(DEADLINE):
            return await caller.result()
    except TimeoutError:
        return "stalled"
    except WorkflowFailureError:
        return "failed"


def report(ends: Sequence[Calls | str]) -> None:
    """Print the sums."""
    seen = [end for end in ends if isinstance(end, Calls)]
    completed = sum(sum(calls.completed.values()) for calls in seen)
    lost = sum(calls.failed for calls in seen)
    print(f"calls answered: {completed}; failed or lost: {lost} (target: 0)")
    print(
        f"workflows ended well: {len(seen)}; failed: {ends.count('failed')}; stalled: {ends.count('stalled')}"
    )
    print(f"builds that answered, least for a workflow: {min((len(c.completed) for c in seen), default=0)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workflows", type=int, default=200)
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--pause", type=float, default=4.0, help="seconds between a workflow's calls")
    arguments = parser.parse_args()
    with stage() as on:
        report(asyncio.run(measure(on, arguments.workflows, arguments.changes, arguments.pause)))


if __name__ == "__main__":
    main()
    leave()
