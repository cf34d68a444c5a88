"""Reading in histories which calls a build answered, and with what."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from pipeline.backfill.messages import Answered, Recalled
from pipeline.deployments import Version
from pipeline.worker.settings import queues_of

OURS = "conduit/"
"""How the IDs of our own workflows begin: what they call is no production call."""
MAX_ACTIVITY_INPUTS = 1


@dataclass(frozen=True)
class _Call:
    scheduled: ActivityTaskScheduledEventAttributes
    answered_by: str
    result: Payloads


async def answered(client: Client, task_queue: str, build: Version, most: int) -> AsyncIterator[Answered]:
    """The calls of a queue that a build answered, of the runs that its time touches and the server still has.

    Args:
        client: of the namespace.
        task_queue: the algorithm's.
        build: whose calls are looked for.
        most: how many histories are read, the latest first.
    """
    async for run in client.list_workflows(_touched(build), limit=most):
        for call in _calls(await _history(client, run.id, run.run_id), task_queue):
            if call.answered_by == build.build_id:
                yield Answered(
                    workflow_id=run.id,
                    run_id=run.run_id,
                    workflow_type=run.workflow_type,
                    activity_id=call.scheduled.activity_id,
                    activity=call.scheduled.activity_type.name,
                )


def _touched(build: Version) -> str:
    since, until = build.first_active or build.created, build.deactivated
    # Not left to the reader: a release's own workflows are many, and would take the places of the callers.
    parts = [f"WorkflowId NOT STARTS_WITH '{OURS}'"]
    if since:
        parts.append(f"(ExecutionStatus = 'Running' OR CloseTime >= '{_text(since)}')")
    if until:
        parts.append(f"StartTime <= '{_text(until)}'")
    return " AND ".join(parts)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def recall(client: Client, task_queue: str, calls: tuple[Answered, ...]) -> list[Recalled | None]:
    """Read calls out of their histories; None for one whose history is gone."""
    runs = {(call.workflow_id, call.run_id) for call in calls}
    known: dict[tuple[str, str, str], _Call] = {}
    for workflow_id, run_id in sorted(runs):
        for found in _calls(await _history(client, workflow_id, run_id), task_queue):
            known[workflow_id, run_id, found.scheduled.activity_id] = found
    return [_recalled(call, known.get((call.workflow_id, call.run_id, call.activity_id))) for call in calls]


async def _history(client: Client, workflow_id: str, run_id: str) -> WorkflowHistory:
    try:
        return await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return WorkflowHistory(workflow_id, [])
        raise


def _calls(history: WorkflowHistory, task_queue: str) -> list[_Call]:
    """The completed calls of a queue."""
    scheduled: dict[int, ActivityTaskScheduledEventAttributes] = {}
    builds: dict[int, str] = {}
    found = []
    for event in history.events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            its = event.activity_task_scheduled_event_attributes
            if (
                its.task_queue.name in queues_of(task_queue)
                and len(its.input.payloads) <= MAX_ACTIVITY_INPUTS
            ):
                scheduled[event.event_id] = its
        elif event.HasField("activity_task_started_event_attributes"):
            started = event.activity_task_started_event_attributes
            builds[started.scheduled_event_id] = build_of(started.identity, task_queue)
        elif event.HasField("activity_task_completed_event_attributes"):
            done = event.activity_task_completed_event_attributes
            if done.scheduled_event_id in scheduled:
                number = done.scheduled_event_id
                found.append(_Call(scheduled[number], builds.get(number, ""), done.result))
    return found


def build_of(identity: str, task_queue: str) -> str:
    """The build in a worker's identity, `queue/build@host:pid`; empty where it is of another kind."""
    queue, slash, rest = identity.rpartition("/")
    return rest.partition("@")[0] if slash and queue == task_queue else ""


def _recalled(call: Answered, found: _Call | None) -> Recalled | None:
    if found is None:
        return None
    its = found.scheduled
    return Recalled(
        call=call,
        input=_first(its.input),
        output=_first(found.result),
        fairness_key=its.priority.fairness_key or call.workflow_type[:64],
        start_to_close=_seconds(its.start_to_close_timeout),
        heartbeat=_seconds(its.heartbeat_timeout),
    )


def _first(payloads: Payloads) -> bytes | None:
    return payloads.payloads[0].SerializeToString() if payloads.payloads else None


def _seconds(duration: Duration) -> float | None:
    return duration.ToTimedelta().total_seconds() or None
