"""Production as a release meets it: running workflows that call an algorithm and check what it answers."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


class Calling(BaseModel):
    """How a workflow calls; seconds."""

    algorithm: str
    pause: float = 0.3
    timeout: float = 3.0
    """Of one attempt."""
    broken: bool = False
    """Whether its input is one that every build fails at."""


class Called(BaseModel):
    """What a workflow was answered."""

    right: int = 0
    wrong: int = 0


@workflow.defn(name="Load")
class LoadWorkflow:
    """Calls `measure` again and again, and compares each answer with what it must be."""

    def __init__(self) -> None:
        self._finished = False
        self._called = Called()

    @workflow.run
    async def run(self, calling: Calling) -> Called:
        number = 0
        while not self._finished:
            number += 1
            answer = await workflow.execute_activity(
                "measure",
                {"samples": [] if calling.broken else [0.0, float(number)]},
                task_queue=calling.algorithm,
                start_to_close_timeout=timedelta(seconds=calling.timeout),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=1)
                ),
            )
            right = answer == {"peak": float(number)}
            self._called.right += right
            self._called.wrong += not right
            await workflow.sleep(calling.pause)
        return self._called

    @workflow.signal
    def finish(self) -> None:
        self._finished = True

    @workflow.query
    def called(self) -> Called:
        return self._called


Handle = WorkflowHandle[LoadWorkflow, Called]


@dataclass
class Load:
    """Some running workflows."""

    handles: Sequence[Handle]

    async def finish(self) -> list[Called]:
        """Let each make its last call; return what each was answered."""
        await asyncio.gather(*(handle.signal(LoadWorkflow.finish) for handle in self.handles))
        return list(await asyncio.gather(*(handle.result() for handle in self.handles)))

    async def answers(self) -> int:
        """How many calls were answered so far."""
        called = await asyncio.gather(*(handle.query(LoadWorkflow.called) for handle in self.handles))
        return sum(one.right + one.wrong for one in called)

    async def builds(self) -> Counter[str]:
        """How many of the answers each build gave, by the workflows' histories."""
        counts: Counter[str] = Counter()
        for handle in self.handles:
            async for event in handle.fetch_history_events():
                if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                    identity = event.activity_task_started_event_attributes.identity
                    counts[identity.partition("/")[2].partition("@")[0]] += 1
        return counts


@asynccontextmanager
async def running_load(client: Client, calling: Calling, workflows: int = 16) -> AsyncIterator[Load]:
    """Start so many workflows, and the worker that runs them, here; end those that still run."""
    queue = f"load-{uuid.uuid4().hex}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[LoadWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=workflows + 10,
    ):
        handles = [
            await client.start_workflow(
                LoadWorkflow.run, calling, id=f"{calling.algorithm}/{queue}/{number}", task_queue=queue
            )
            for number in range(workflows)
        ]
        load = Load(handles)
        try:
            yield load
        finally:
            for handle in handles:
                if (await handle.describe()).close_time is None:
                    await handle.terminate("the test is over")
