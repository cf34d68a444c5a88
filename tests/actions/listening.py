"""A workflow as an engineer owns it: it runs for long, and calls the algorithm again and again."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.parts.waiting import eventually

BETWEEN_CALLS = 0.3


@workflow.defn
class Listener:
    """Keeps the last answer."""

    def __init__(self) -> None:
        self._answer: float | None = None

    @workflow.run
    async def run(self, algorithm: str) -> None:
        while True:
            level = await workflow.execute_activity(
                "measure",
                {"samples": [0.5, 1.0]},
                task_queue=algorithm,
                start_to_close_timeout=timedelta(seconds=30),
            )
            self._answer = level["peak"]
            await asyncio.sleep(BETWEEN_CALLS)

    @workflow.query
    def answer(self) -> float | None:
        return self._answer


@asynccontextmanager
async def serving_listener(client: Client) -> AsyncIterator[str]:
    """Run the workflow's worker; yields its task queue."""
    queue = f"listeners-{uuid.uuid4()}"
    async with Worker(
        client, task_queue=queue, workflows=[Listener], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        yield queue


async def hears(listener: WorkflowHandle[Listener, None], answer: float, *, within: float = 60.0) -> None:
    """Wait until the running workflow gets that answer.

    Raises:
        TimeoutError: it did not.
    """

    async def heard() -> bool:
        return await listener.query(Listener.answer) == answer

    await eventually(heard, within=within)
