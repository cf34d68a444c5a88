"""A workflow that calls an algorithm again and again, as an engineer's would."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn
class Caller:
    """Calls `measure` on the algorithm's queue until it is told to finish."""

    def __init__(self) -> None:
        self._finished = False

    @workflow.run
    async def run(self, algorithm: str) -> int:
        calls = 0
        while not self._finished:
            await workflow.execute_activity(
                "measure",
                {"samples": [0.5, 1.0]},
                task_queue=algorithm,
                start_to_close_timeout=timedelta(seconds=10),
            )
            calls += 1
            await asyncio.sleep(0.2)
        return calls

    @workflow.signal
    def finish(self) -> None:
        self._finished = True


@asynccontextmanager
async def serving_caller(client: Client) -> AsyncIterator[str]:
    """Run the workflow's worker; yields its task queue."""
    queue = f"callers-{uuid.uuid4()}"
    async with Worker(
        client, task_queue=queue, workflows=[Caller], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        yield queue
