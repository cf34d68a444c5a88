"""A release without pauses (`steps = []`, no watch) beside the least that makes a build live by hand.

By hand: start a worker, wait until Temporal lists its version and hears it, set it Current, wait until the task queue
knows. A release does that too, and reads the routing, clears what was left behind, writes who built what, gates the
build and retires old ones. Both are timed in this process, in turns, each from settled routing and on a build that is
there already. The target for the difference of the medians is at most 2 s. From the repository's root:

    python -m benchmarks.release_beside_promote [--rounds 8]
"""

import argparse
import asyncio
import os
import statistics
import time
from datetime import timedelta

from temporalio.client import Client

from benchmarks.parts import ALGORITHM, Stage, leave, spread, stage
from pipeline import connection
from pipeline.build import local
from pipeline.deployments import Deployments
from pipeline.models import Build
from pipeline.project import at_commit
from pipeline.rollout import host
from pipeline.rollout.messages import ReleaseRequest
from pipeline.runtimes import RuntimeOptions
from pipeline.runtimes.process import ProcessRuntime
from tests.parts.waiting import eventually

TARGET = 2.0
DEADLINE = 60.0
AT_ONCE = 0.1
SETTLED = 20


def build(on: Stage) -> Build:
    """A new build of a change of the code alone."""
    on.commit()
    return local.build(at_commit(on.repo, None), on.folder / "home", dict(os.environ))


def runtime(on: Stage) -> ProcessRuntime:
    """The runtime of both."""
    options = RuntimeOptions(
        home=on.folder / "home", connection=on.server.environment, environment=dict(os.environ)
    )
    return ProcessRuntime(options)


async def by_hand(on: Stage, client: Client, made: Build) -> None:
    """Make a build live by Temporal's own requests."""
    deployments = Deployments(client)

    async def is_able() -> bool:
        if not await deployments.is_registered(ALGORITHM, made.build_id, ALGORITHM):
            return False
        heard = [w for w in await deployments.workers(ALGORITHM) if w.build_id == made.build_id]
        return bool(heard or await deployments.newcomers(ALGORITHM, made.build_id, ALGORITHM))

    await asyncio.to_thread(runtime(on).start, made, 1)
    await eventually(is_able, within=DEADLINE)
    seen = await deployments.describe(ALGORITHM)
    if seen is None:
        raise AssertionError("a registered version has a deployment")
    await deployments.set_current(seen, made.build_id)
    await deployments.wait_propagated(ALGORITHM, made.build_id, timedelta(seconds=DEADLINE))


async def by_release(on: Stage, client: Client, made: Build) -> None:
    """Make a build live as `conduit deliver` does from its start step on."""
    request = ReleaseRequest(build=made, replicas=1, start_timeout=DEADLINE, by="benchmark")
    await host.release(client, request, runtime(on), lambda older, newer: None, lambda *_: None)


async def settle(client: Client) -> None:
    """Wait until the server is done with the last change: it answers at once, again and again."""
    quick = 0

    async def is_settled() -> bool:
        nonlocal quick
        begun = time.perf_counter()
        await Deployments(client).describe(ALGORITHM)
        quick = quick + 1 if time.perf_counter() - begun < AT_ONCE else 0
        return quick == SETTLED

    await eventually(is_settled, within=DEADLINE)


async def measure(on: Stage, rounds: int) -> dict[str, list[float]]:
    """Time both in turns; return the seconds."""
    client = await connection.connect(on.server.environment, identity="benchmark")
    took: dict[str, list[float]] = {"by hand": [], "release": []}
    await by_release(on, client, await asyncio.to_thread(build, on))
    for _ in range(rounds):
        for name, way in (("by hand", by_hand), ("release", by_release)):
            made = await asyncio.to_thread(build, on)
            await settle(client)
            begun = time.perf_counter()
            await way(on, client, made)
            took[name].append(time.perf_counter() - begun)
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    arguments = parser.parse_args()
    with stage() as on:
        took = asyncio.run(measure(on, arguments.rounds))
    for name, seconds in took.items():
        print(f"{name:8} {spread(seconds)}")
    more = statistics.median(took["release"]) - statistics.median(took["by hand"])
    print(f"difference of the medians: {more:+.2f} s (target: at most {TARGET} s)")
    leave()


if __name__ == "__main__":
    main()
