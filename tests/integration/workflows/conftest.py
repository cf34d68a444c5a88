"""The engineers' worker on a queue of its own, and the recorder of histories."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from tests.integration.workflows.recording import Keep, keeper
from workflows.archive import Archive
from workflows.worker import WORKFLOWS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-histories", action="store_true", help="keep the runs of these tests in workflows/histories"
    )


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Keep:
    # The option is unknown where pytest was not given this folder: then nothing is recorded.
    return keeper(record=request.config.getoption("--record-histories", default=False))


@pytest.fixture
async def engineers(temporal_client: Client, tmp_path: Path) -> AsyncIterator[str]:
    """The task queue on which the workflows run. The worker's identity is part of what is recorded."""
    task_queue = f"workflows-{uuid4()}"
    archive = Archive(tmp_path)
    with ThreadPoolExecutor(2) as threads:
        async with Worker(
            temporal_client,
            task_queue=task_queue,
            workflows=WORKFLOWS,
            activities=[archive.size, archive.page, archive.keep],
            activity_executor=threads,
            max_concurrent_activities=2,
            identity="engineers",
        ):
            yield task_queue
