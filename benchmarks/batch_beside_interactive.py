"""Interactive calls beside a backfill: their latency with and without it, and what the backfill gets done.

Two workers of ten slots each, of which the backfill takes all but four; calls of so many seconds.
A trickle of interactive workflows is measured alone, then while ten thousand clips of an archive go through the same
workers, then alone again. The target: the p95 with batch is at most 1.5 times that without, and batch gets the
capacity that is left. What is in the queue's hands is told apart from what is in the server's: the p95 of how long a
call waited for a worker, and how much processor time was used.

The server's database is kept in memory, where the machine has such a folder. The dev server commits one transaction
after the other: on a disk, a backfill of calls of a quarter of a second measures the disk (`--on-disk` does so).
From the repository's root:

    python -m benchmarks.batch_beside_interactive [--clips 10000] [--batch 16] [--hold 0.25] [--batch-slots 5]
"""

import argparse
import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from benchmarks.parts import leave, temporal_program
from pipeline.worker.served import percentile
from pipeline.worker.settings import HostSettings, batch_of
from tests.parts.temporal import DevServer
from tests.parts.versions import make_current
from tests.parts.worker_host import worker_host
from workflows.archive import Archive
from workflows.backfill import ArchiveBackfillWorkflow
from workflows.identification import SpeakerIdentificationWorkflow
from workflows.models import AudioClip, Backfill, BackfillProgress, IdentificationRequest, SpeakerID
from workflows.worker import WORKFLOWS

MEMORY = Path("/dev/shm")  # noqa: S108  # the folder that Linux keeps in memory
SLOTS = 10
WORKERS = 2
PERIOD = 0.5
"""Seconds between two interactive workflows."""
ALONE = 100
"""Interactive workflows that are measured without batch, before and after."""
CUSTOMERS = 10
TARGET = 1.5
QUEUE = "speaker-id"
ENGINEERS = "speaker-workflows"

ALGORITHM = """\
import asyncio

from pydantic import BaseModel, ConfigDict
from temporalio import activity


class AudioClip(BaseModel):
    model_config = ConfigDict(val_json_bytes="base64")
    wav: bytes


class SpeakerID(BaseModel):
    speaker: str
    confidence: float


@activity.defn
async def identify_speaker(clip: AudioClip) -> SpeakerID:
    await asyncio.sleep(HOLD)
    return SpeakerID(speaker="anyone", confidence=1)
"""


@dataclass(frozen=True)
class Load:
    """What is asked of the workers."""

    clips: int
    batch: int
    """Calls of the backfill under way at most."""
    hold: float
    """Seconds that a call takes."""
    batch_slots: int
    """Of each worker; 0: the backfill's calls are on the algorithm's own queue."""

    @property
    def queue(self) -> str:
        """The backfill's."""
        return batch_of(QUEUE) if self.batch_slots else QUEUE


class Taken(NamedTuple):
    """Seconds of one interactive workflow."""

    seconds: float
    waited: float
    """Of these, those that its call waited for a worker."""


@asynccontextmanager
async def running(server: DevServer, folder: Path, load: Load) -> AsyncIterator[Client]:
    """Start the algorithm's two workers and the engineers' one."""
    client = await Client.connect(server.address, data_converter=pydantic_data_converter)
    (folder / "speaker.py").write_text(ALGORITHM.replace("HOLD", str(load.hold)))
    archive = Archive(folder / "archive")
    settings = HostSettings(
        task_queue=QUEUE,
        activities=("speaker",),
        max_concurrent_activities=SLOTS,
        batch_slots=load.batch_slots,
    )
    with ExitStack() as stack:
        for _ in range(WORKERS):
            stack.enter_context(worker_host(folder, settings, build_id="b1", environment=server.environment))
        for queue in {QUEUE, load.queue}:
            await make_current(client, queue, "b1")
        threads = stack.enter_context(ThreadPoolExecutor(4))
        async with Worker(
            client,
            task_queue=ENGINEERS,
            workflows=WORKFLOWS,
            activities=[archive.size, archive.page, archive.keep],
            activity_executor=threads,
            max_concurrent_activities=4,
        ):
            yield client


def write_archive(folder: Path, clips: int) -> None:
    """Write so many small clips, spread over the customers."""
    for number in range(clips):
        customer = folder / f"customer-{number % CUSTOMERS}"
        customer.mkdir(parents=True, exist_ok=True)
        (customer / f"{number:06}.wav").write_bytes(b"a clip of little content")


async def identify(client: Client) -> Taken:
    """What one interactive workflow takes."""
    begun = time.perf_counter()
    handle: WorkflowHandle[SpeakerIdentificationWorkflow, SpeakerID] = await client.start_workflow(
        SpeakerIdentificationWorkflow.run,
        IdentificationRequest(clip=AudioClip(wav=b"a clip"), task_queue=QUEUE),
        id=f"identify-{uuid.uuid4()}",
        task_queue=ENGINEERS,
    )
    await handle.result()
    seconds = time.perf_counter() - begun
    return Taken(seconds, await waited(handle))


async def waited(handle: WorkflowHandle[Any, Any]) -> float:
    """The seconds that a workflow's call waited for a worker."""
    at = {event.event_type: event.event_time.ToDatetime(UTC) async for event in handle.fetch_history_events()}
    scheduled = at[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
    return (at[EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED] - scheduled).total_seconds()


async def trickle(client: Client, until: asyncio.Task[object] | None = None) -> list[Taken]:
    """Start interactive workflows at an even pace: a number of them, or until something ends."""
    started: list[asyncio.Task[Taken]] = []
    while not until.done() if until else len(started) < ALONE:
        started.append(asyncio.create_task(identify(client)))
        await asyncio.sleep(PERIOD)
    return list(await asyncio.gather(*started))


async def measure(server: DevServer, folder: Path, load: Load) -> None:
    """Measure and print."""
    async with running(server, folder, load) as client:
        await identify(client)
        idle, before = psutil.cpu_times(), await trickle(client)
        begun, busy = time.perf_counter(), psutil.cpu_times()
        handle: WorkflowHandle[ArchiveBackfillWorkflow, BackfillProgress] = await client.start_workflow(
            ArchiveBackfillWorkflow.run,
            Backfill(batch=load.batch, task_queue=load.queue),
            id="backfill",
            task_queue=ENGINEERS,
        )
        backfill = asyncio.create_task(handle.result())
        beside = await trickle(client, backfill)
        seconds, done = time.perf_counter() - begun, psutil.cpu_times()
        after = await trickle(client)
        print(f"processors in use: {used(idle, busy):.0%} alone, {used(busy, done):.0%} beside batch")
        report(load, before + after, beside, (await backfill).identified, seconds)


def used(since: Any, now: Any) -> float:
    """The share of the machine's processor time that was used between two looks, by whomever."""
    spent = [later - earlier for earlier, later in zip(since, now, strict=True)]
    return 1.0 - float(now.idle - since.idle) / float(sum(spent))


def report(load: Load, alone: list[Taken], beside: list[Taken], clips: int, seconds: float) -> None:
    """Print the figures."""
    for name, taken in (("alone", alone), ("beside batch", beside)):
        p50, p95 = (percentile(sorted(one.seconds for one in taken), share) for share in (0.5, 0.95))
        wait = percentile(sorted(one.waited for one in taken), 0.95)
        print(
            f"interactive {name}: {len(taken)} workflows, p50 {p50:.3f} s, p95 {p95:.3f} s; "
            f"p95 of the wait for a worker {wait:.3f} s"
        )
    ratio = p95_of(beside) / p95_of(alone)
    print(f"p95 beside batch: {ratio:.2f} times that alone (target: {TARGET})")
    capacity = WORKERS * (load.batch_slots or SLOTS) / load.hold - (0 if load.batch_slots else 1 / PERIOD)
    print(
        f"batch: {clips} clips in {seconds:.0f} s, {clips / seconds:.1f} a second; "
        f"{clips / seconds / capacity:.0%} of the {capacity:.0f} that interactive calls leave"
    )


def p95_of(taken: list[Taken]) -> float:
    """The p95 of what workflows took."""
    return percentile(sorted(one.seconds for one in taken), 0.95) or 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=16, help="calls of the backfill under way at most")
    parser.add_argument("--hold", type=float, default=1.0, help="seconds that a call takes")
    parser.add_argument(
        "--batch-slots", type=int, default=0, help="of each worker, for a queue of the batch's own"
    )
    parser.add_argument("--on-disk", action="store_true", help="keep the server's database on the disk")
    arguments = parser.parse_args()
    load = Load(arguments.clips, arguments.batch, arguments.hold, arguments.batch_slots)
    in_memory = MEMORY if MEMORY.is_dir() and not arguments.on_disk else None
    with (
        tempfile.TemporaryDirectory(prefix="conduit-benchmark-") as name,
        tempfile.TemporaryDirectory(prefix="conduit-benchmark-", dir=in_memory) as database,
        DevServer(temporal_program(), Path(database)) as server,
    ):
        write_archive(Path(name) / "archive", load.clips)
        asyncio.run(measure(server, Path(name), load))


if __name__ == "__main__":
    main()
    leave()
