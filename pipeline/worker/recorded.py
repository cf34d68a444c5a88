"""Calls as their callers' histories have them, read backwards and kept within bounds."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client

from pipeline.worker.probe import Caller, Reference
from pipeline.worker.settings import queues_of

PAGE = 100
MOST_PAGES = 100
"""Of one history: as far back as one looks for a call."""
KEPT = 32 * 1024 * 1024
"""Bytes of payloads of all histories that are kept."""
RPC_TIMEOUT = timedelta(seconds=10)


@dataclass(frozen=True)
class Recorded:
    """A completed call."""

    input: tuple[Payload, ...]
    output: tuple[Payload, ...]
    caller: Caller

    @property
    def size(self) -> int:
        """Bytes of its payloads."""
        return sum(len(payload.data) for payload in (*self.input, *self.output))


@dataclass
class _Run:
    """What is known of one history, from its end backwards."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    calls: dict[str, Recorded] = field(default_factory=dict)
    results: dict[int, tuple[Payload, ...]] = field(default_factory=dict)
    token: bytes = b""
    pages: int = 0

    @property
    def is_read(self) -> bool:
        return self.pages > 0 and (not self.token or self.pages >= MOST_PAGES)

    @property
    def size(self) -> int:
        return sum(call.size for call in self.calls.values())


class Histories:
    """Reads each history once, as far as it is needed, and keeps the latest of them."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queues = queues_of(task_queue)
        self._runs: OrderedDict[tuple[str, str], _Run] = OrderedDict()

    async def find(self, reference: Reference) -> Recorded | None:
        """The call that is meant; None where the history does not have it as completed.

        Raises:
            temporalio.service.RPCError: the history cannot be read.
        """
        key = (reference.workflow_id, reference.run_id)
        run = self._runs.setdefault(key, _Run())
        self._runs.move_to_end(key)
        async with run.lock:
            while reference.activity_id not in run.calls and not run.is_read:
                await self._read_page(reference, run)
            found = run.calls.get(reference.activity_id)
        self._forget()
        return found

    async def _read_page(self, reference: Reference, run: _Run) -> None:
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=self._client.namespace,
            execution=WorkflowExecution(workflow_id=reference.workflow_id, run_id=reference.run_id),
            maximum_page_size=PAGE,
            next_page_token=run.token,
        )
        service = self._client.workflow_service
        answer = await service.get_workflow_execution_history_reverse(request, timeout=RPC_TIMEOUT)
        run.token = answer.next_page_token
        run.pages += 1
        self._collect(answer.history.events, reference.workflow_type, run)

    def _collect(self, events: Iterable[HistoryEvent], workflow_type: str, run: _Run) -> None:
        for event in events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                completed = event.activity_task_completed_event_attributes
                run.results[completed.scheduled_event_id] = tuple(completed.result.payloads)
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                output = run.results.pop(event.event_id, None)
                scheduled = event.activity_task_scheduled_event_attributes
                if output is not None and scheduled.task_queue.name in self._task_queues:
                    recorded = Recorded(
                        tuple(scheduled.input.payloads), output, _caller(scheduled, workflow_type)
                    )
                    # Read backwards: of two calls with one ID the later one stands.
                    run.calls.setdefault(scheduled.activity_id, recorded)

    def _forget(self) -> None:
        size = sum(run.size for run in self._runs.values())
        while size > KEPT and len(self._runs) > 1:
            _, oldest = self._runs.popitem(last=False)
            size -= oldest.size


def _caller(scheduled: ActivityTaskScheduledEventAttributes, workflow_type: str) -> Caller:
    return Caller(
        workflow_type=workflow_type,
        start_to_close=_seconds(scheduled.start_to_close_timeout),
        schedule_to_close=_seconds(scheduled.schedule_to_close_timeout),
        maximum_attempts=scheduled.retry_policy.maximum_attempts,
    )


def _seconds(duration: Any) -> float | None:
    """The server writes 0, or the workflow's own timeout, for no limit."""
    seconds: float = duration.ToTimedelta().total_seconds()
    return seconds or None
