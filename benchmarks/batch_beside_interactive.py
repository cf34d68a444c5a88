"""Interactive calls beside a backfill: their latency with and without it, and what the backfill gets done.

Two workers of ten slots each, of which the backfill takes all but four; calls of one second.
A trickle of interactive workflows is measured alone, then while ten thousand clips of an archive go through the same
workers, then alone again. The target: the p95 with batch is at most 1.5 times that without, and batch gets the
capacity that is left. From the repository's root:

    python -m benchmarks.batch_beside_interactive [--clips 10000] [--batch 16]
"""

import argparse
import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from benchmarks.parts import leave, temporal_program
from pipeline.worker.served import percentile
from pipeline.worker.settings import HostSettings
from tests.parts.temporal import DevServer
from tests.parts.versions import make_current
from tests.parts.worker_host import worker_host
from workflows.archive import Archive
from workflows.backfill import ArchiveBackfillWorkflow
from workflows.identification import SpeakerIdentificationWorkflow
from workflows.models import AudioClip, Backfill, BackfillProgress, IdentificationRequest
from workflows.worker import WORKFLOWS

HOLD = 1.0
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

ALGORITHM = f"""\
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
    await asyncio.sleep({HOLD})
    return SpeakerID(speaker="anyone", confidence=1)
"""


@asynccontextmanager
async def running(server: DevServer, folder: Path) -> AsyncIterator[Client]:
    """Start the algorithm's two workers and the engineers' one."""
    client = await Client.connect(server.address, data_converter=pydantic_data_converter)
    (folder / "speaker.py").write_text(ALGORITHM)
    archive = Archive(folder / "archive")
    with ExitStack() as stack:
        for _ in range(WORKERS):
            settings = HostSettings(
                task_queue=QUEUE, activities=("speaker",), max_concurrent_activities=SLOTS
            )
            stack.enter_context(worker_host(folder, settings, build_id="b1", environment=server.environment))
        await make_current(client, QUEUE, "b1")
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


async def identify(client: Client) -> float:
    """The seconds that one interactive workflow takes."""
    begun = time.perf_counter()
    await client.execute_workflow(
        SpeakerIdentificationWorkflow.run,
        IdentificationRequest(clip=AudioClip(wav=b"a clip"), task_queue=QUEUE),
        id=f"identify-{uuid.uuid4()}",
        task_queue=ENGINEERS,
    )
    return time.perf_counter() - begun


async def trickle(client: Client, until: asyncio.Task[object] | None = None) -> list[float]:
    """Start interactive workflows at an even pace: a number of them, or until something ends."""
    started: list[asyncio.Task[float]] = []
    while not until.done() if until else len(started) < ALONE:
        started.append(asyncio.create_task(identify(client)))
        await asyncio.sleep(PERIOD)
    return list(await asyncio.gather(*started))


async def measure(server: DevServer, folder: Path, clips: int, batch: int) -> None:
    """Measure and print."""
    async with running(server, folder) as client:
        await identify(client)
        before = await trickle(client)
        begun = time.perf_counter()
        handle: WorkflowHandle[ArchiveBackfillWorkflow, BackfillProgress] = await client.start_workflow(
            ArchiveBackfillWorkflow.run,
            Backfill(batch=batch, task_queue=QUEUE),
            id="backfill",
            task_queue=ENGINEERS,
        )
        backfill = asyncio.create_task(handle.result())
        beside = await trickle(client, backfill)
        seconds = time.perf_counter() - begun
        after = await trickle(client)
        report(before + after, beside, (await backfill).identified, seconds)


def report(alone: list[float], beside: list[float], clips: int, seconds: float) -> None:
    """Print the figures."""
    for name, taken in (("alone", alone), ("beside batch", beside)):
        p50, p95 = (percentile(sorted(taken), share) for share in (0.5, 0.95))
        print(f"interactive {name}: {len(taken)} workflows, p50 {p50:.3f} s, p95 {p95:.3f} s")
    ratio = (percentile(sorted(beside), 0.95) or 0) / (percentile(sorted(alone), 0.95) or 1)
    print(f"p95 beside batch: {ratio:.2f} times that alone (target: {TARGET})")
    capacity = WORKERS * SLOTS / HOLD - 1 / PERIOD
    print(
        f"batch: {clips} clips in {seconds:.0f} s, {clips / seconds:.1f} a second; "
        f"{clips / seconds / capacity:.0%} of the {capacity:.0f} that interactive calls leave"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=16, help="calls of the backfill under way at most")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="conduit-benchmark-") as name,
        DevServer(temporal_program(), Path(name)) as server,
    ):
        write_archive(Path(name) / "archive", arguments.clips)
        asyncio.run(measure(server, Path(name), arguments.clips, arguments.batch))


if __name__ == "__main__":
    main()
    leave()
