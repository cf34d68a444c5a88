"""An engineer's workflow worker, and hosts for an algorithm of each test's own."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from pipeline.worker.settings import HostSettings
from tests.integration.worker.long_running import LongRunning
from tests.integration.worker.research import CALLS, Call
from tests.integration.worker.sessions import Conversation
from tests.parts.temporal import DevServer
from tests.parts.versions import make_current
from tests.parts.worker_host import WorkerHost, worker_host


@dataclass
class Algorithm:
    """A Worker Deployment and its task queue, both of one name."""

    name: str
    client: Client
    callers: str

    async def make_current(self, build_id: str) -> None:
        """Wait until the version is registered, and route calls to it."""
        await make_current(self.client, self.name, build_id)

    async def start(self, activity: str, *arguments: Any) -> WorkflowHandle[Any, Any]:
        """Start a workflow that calls the activity once."""
        return await self.client.start_workflow(
            Call.run,
            args=[self.name, activity, list(arguments)],
            id=f"call-{uuid.uuid4()}",
            task_queue=self.callers,
        )

    async def call(self, activity: str, *arguments: Any) -> Any:
        """What the activity answers to a workflow."""
        return await (await self.start(activity, *arguments)).result()


@pytest.fixture
async def algorithm(temporal_client: Client) -> AsyncIterator[Algorithm]:
    """An algorithm without workers, and a worker for the workflows that call it."""
    name = f"algorithm-{uuid.uuid4().hex[:8]}"
    async with Worker(
        temporal_client, task_queue=f"{name}-callers", workflows=[Call, LongRunning, Conversation]
    ):
        yield Algorithm(name, temporal_client, f"{name}-callers")


@pytest.fixture
def start_host(
    algorithm: Algorithm, temporal_server: DevServer, tmp_path: Path
) -> Iterator[Callable[..., WorkerHost]]:
    """Start hosts of the algorithm on the modules of `research`; keyword arguments are settings."""
    (tmp_path / "calls.py").write_text(CALLS)
    with ExitStack() as hosts:

        def start(build_id: str, **settings: Any) -> WorkerHost:
            complete = HostSettings(**{"task_queue": algorithm.name, "activities": ("calls",), **settings})
            return hosts.enter_context(
                worker_host(tmp_path, complete, build_id=build_id, environment=temporal_server.environment)
            )

        yield start
