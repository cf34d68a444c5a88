"""The engineers' worker: `python -m workflows.worker`.

It has no Worker Deployment of its own. Calls are routed by the algorithm's deployment, however the workflow
that makes them is versioned; whether to version the workflows too is the engineers' decision alone. The archive
that a backfill reads is the folder that `SPEAKER_ARCHIVE` names, `archive` without.
"""

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

from workflows.archive import Archive
from workflows.backfill import ArchiveBackfillWorkflow
from workflows.identification import SpeakerIdentificationWorkflow
from workflows.stream import SpeakerStreamWorkflow

TASK_QUEUE = "speaker-workflows"
WORKFLOWS = (SpeakerIdentificationWorkflow, SpeakerStreamWorkflow, ArchiveBackfillWorkflow)
ARCHIVE_THREADS = 4


async def connect() -> Client:
    """Connect as Temporal's environment configuration says: `TEMPORAL_ADDRESS`, profiles, TLS and the rest.

    Raises:
        RuntimeError: no server answered.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    return await Client.connect(**config, data_converter=pydantic_data_converter)


async def run_until_stopped() -> None:
    """Run the workflows until SIGTERM or SIGINT; the tasks at hand are completed first."""
    stopped = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stopped.set)
    archive = Archive(Path(os.environ.get("SPEAKER_ARCHIVE", "archive")))
    with ThreadPoolExecutor(ARCHIVE_THREADS) as threads:
        async with Worker(
            await connect(),
            task_queue=TASK_QUEUE,
            workflows=WORKFLOWS,
            activities=[archive.size, archive.page, archive.keep],
            activity_executor=threads,
            max_concurrent_activities=ARCHIVE_THREADS,
        ):
            await stopped.wait()


def main() -> None:
    """Run the worker in the foreground."""
    asyncio.run(run_until_stopped())
    # A native thread of the SDK that calls into Python while the interpreter shuts down makes the process abort
    # or crash (temporalio/sdk-python#300). All work is done: leave without that shutdown.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
