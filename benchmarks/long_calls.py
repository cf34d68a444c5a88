"""Long calls that see five promotions and a `kill -9`: what they do again, and whether their answers are right.

Every call works for some minutes in small steps, saves each, and is handed over at each promotion; the state is
migrated twice. One worker is killed between. The target: each call's work is done once, but for at most one
checkpoint interval after the kill. The heartbeat timeout is that of typed stubs. From the repository's root:

    python -m benchmarks.long_calls [--calls 100] [--minutes 10]
"""

import argparse
import asyncio
import os
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from benchmarks.parts import leave, temporal_program
from pipeline.worker.settings import HostSettings
from tests.integration.worker import long_running
from tests.integration.worker.long_running import (
    EVERY,
    FIRST,
    SECOND,
    THIRD,
    Done,
    LongCall,
    LongRunning,
    Step,
    Work,
)
from tests.parts.temporal import DevServer
from tests.parts.versions import make_current
from tests.parts.waiting import eventually
from tests.parts.worker_host import WorkerHost, worker_host

ALGORITHM = "long"
VERSIONS = {"b1": FIRST, "b2": FIRST, "b3": SECOND, "b4": SECOND, "b5": THIRD, "b6": THIRD}
KILLED = "b3"
ACTIVITIES = ("add_in_thread", "add_on_loop")
DEADLINE = 300.0
HEARTBEAT_TIMEOUT = 30.0
INTERVAL = EVERY + 10.0
"""Seconds of work that a killed worker's call may have to do again: heartbeats are sent ten seconds apart."""

Handle = WorkflowHandle[LongRunning, Done]


class Stage:
    """A server, a folder, and the hosts that were started in it."""

    def __init__(self, server: DevServer, folder: Path, stack: ExitStack, pause: float) -> None:
        self.folder = folder
        self._server = server
        self._stack = stack
        self.pause = pause

    def start(self, build_id: str) -> WorkerHost:
        """Start a worker of a build."""
        text = long_running.algorithm(VERSIONS[build_id]).replace("PAUSE = 0.03", f"PAUSE = {self.pause}")
        (self.folder / f"long_{build_id}.py").write_text(text)
        settings = HostSettings(
            task_queue=ALGORITHM, activities=(f"long_{build_id}",), max_concurrent_activities=200
        )
        return self._stack.enter_context(
            worker_host(self.folder, settings, build_id=build_id, environment=self._server.environment)
        )

    def at_work(self, build_id: str) -> int:
        """How many calls have begun a step on a build."""
        file = self.folder / "steps.jsonl"
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        steps = (Step.model_validate_json(line) for line in lines if build_id in line)
        return len({step.call for step in steps if step.build == build_id})


async def measure(stage: Stage, client: Client, calls: int, minutes: float) -> None:
    """Let the calls see it all, and print."""
    begun = time.monotonic()
    handles: list[Handle] = []
    for number, build_id in enumerate(VERSIONS):
        host = await asyncio.to_thread(stage.start, build_id)
        await make_current(client, ALGORITHM, build_id)
        if not handles:
            handles = [await start(client, index) for index in range(calls)]
        await all_at_work(stage, build_id, calls)
        print(f"{time.monotonic() - begun:5.0f} s: all {calls} calls are at work on {build_id}", flush=True)
        share = minutes * 60 / len(VERSIONS)
        if build_id == KILLED:
            await sleep_until(begun + (number + 0.5) * share)
            os.kill(host.pid, signal.SIGKILL)
            await asyncio.to_thread(stage.start, build_id)
        await sleep_until(begun + (number + 1) * share)
    long_running.finish(stage.folder)
    done = await asyncio.gather(*(handle.result() for handle in handles))
    report(stage.folder, handles, list(done), time.monotonic() - begun, stage.pause)


async def sleep_until(moment: float) -> None:
    """Let the calls work until then."""
    await asyncio.sleep(max(0.0, moment - time.monotonic()))


async def start(client: Client, index: int) -> Handle:
    """Start one call, in a thread or on the loop by turns."""
    call = LongCall(
        task_queue=ALGORITHM, activity=ACTIVITIES[index % 2], work=Work(), heartbeat_timeout=HEARTBEAT_TIMEOUT
    )
    return await client.start_workflow(LongRunning.run, call, id=f"long-{index}", task_queue="callers")


async def all_at_work(stage: Stage, build_id: str, calls: int) -> None:
    """Wait until each call has begun a step on the build."""

    async def reached() -> bool:
        return await asyncio.to_thread(stage.at_work, build_id) == calls

    await eventually(reached, within=DEADLINE)


def report(folder: Path, handles: list[Handle], done: list[Done], seconds: float, pause: float) -> None:
    """Print the sums."""
    begun = [long_running.steps(folder, handle.id) for handle in handles]
    again = [len(long_running.repeated(steps)) for steps in begun]
    elsewhere = sum(step.build != KILLED for steps in begun for step in long_running.repeated(steps))
    right = sum(long_running.is_right(one) and one.migrated == [1, 2] for one in done)
    print(f"{len(done)} calls of {seconds:.0f} s, {sum(one.steps for one in done)} steps")
    print(f"right answers, migrated twice: {right} of {len(done)}")
    print(f"steps done again that a hand-over had ended: {elsewhere} (target: 0)")
    print(
        f"steps of {pause} s done again after the kill: at most {max(again)} of a call, {sum(again)} of all; "
        f"one checkpoint interval is {INTERVAL:.1f} s of work"
    )


async def run(server: DevServer, folder: Path, arguments: argparse.Namespace) -> None:
    """Measure with the callers' worker in this process."""
    client = await Client.connect(server.address, data_converter=pydantic_data_converter)
    with ExitStack() as stack:
        stage = Stage(server, folder, stack, arguments.pause)
        async with Worker(client, task_queue="callers", workflows=[LongRunning]):
            await measure(stage, client, arguments.calls, arguments.minutes)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the calls work")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds that a step takes")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="conduit-benchmark-") as name,
        DevServer(temporal_program(), Path(name)) as server,
    ):
        asyncio.run(run(server, Path(name), arguments))


if __name__ == "__main__":
    main()
    leave()
