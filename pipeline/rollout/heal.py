"""What became of the calls that failed on a bad build: their retries go to the good one, and this says so."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from pipeline.deployments import polls
from pipeline.rollout.events import scheduled_by
from pipeline.rollout.messages import HealedCall, HealReport, HealRequest
from pipeline.rollout.pending import PendingCall, of_workflows, pending_calls

MOST_CALLS = 50
"""Calls that a report follows and names; it says how many more there were."""
ENDS: Mapping[int, Literal["completed", "failed"]] = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: "completed",
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "failed",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "failed",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: "failed",
}


class Healer:
    """Bound to one namespace."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn(name="conduit.heal")
    async def heal(self, request: HealRequest) -> HealReport:
        """Follow the calls that a bad build had until they are completed, or for so many seconds."""
        calls = await self._all(request)
        followed = calls[:MOST_CALLS]
        try:
            async with asyncio.timeout(request.seconds):
                async for _ in polls(first=0.2, most=1.0):
                    if not await self._waiting(request.bad.algorithm, followed):
                        break
        except TimeoutError:
            pass  # the report says which calls still wait
        waiting = await self._waiting(request.bad.algorithm, followed)
        healed = await asyncio.gather(*(self._outcome(call, waiting) for call in followed))
        return HealReport(calls=tuple(healed), more=len(calls) - len(followed))

    async def _all(self, request: HealRequest) -> list[PendingCall]:
        """Those that were seen before the routing was put back, and those that are found now."""
        now = await pending_calls(self._client, request.bad.algorithm)
        theirs = [call for call in (*request.failing, *now) if call.build_id == request.bad.build_id]
        return list({call.key: call for call in theirs}.values())

    async def _waiting(self, algorithm: str, calls: Sequence[PendingCall]) -> set[str]:
        runs = {(call.workflow_id, call.run_id) for call in calls}
        still = {call.key for call in await of_workflows(self._client, algorithm, runs)}
        return still & {call.key for call in calls}

    async def _outcome(self, call: PendingCall, waiting: set[str]) -> HealedCall:
        if call.key in waiting:
            return HealedCall(call=call, outcome="pending")
        handle = self._client.get_workflow_handle(call.workflow_id, run_id=call.run_id)
        try:
            return end_of(call, [event async for event in handle.fetch_history_events()])
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return HealedCall(call=call, outcome="gone")


def end_of(call: PendingCall, history: Iterable[HistoryEvent]) -> HealedCall:
    """How a call ended, and which build ended it, by its workflow's history."""
    scheduled, build_id = -1, ""
    for event in history:
        if event.activity_task_scheduled_event_attributes.activity_id == call.activity_id:
            scheduled = event.event_id
        started = event.activity_task_started_event_attributes
        if started.identity and started.scheduled_event_id == scheduled:
            build_id = build_of(started.identity)
        if event.event_type in ENDS and scheduled_by(event) == scheduled:
            return HealedCall(call=call, outcome=ENDS[event.event_type], build_id=build_id)
    return HealedCall(call=call, outcome="gone")


def build_of(identity: str) -> str:
    """The build ID in the identity of a worker, `algorithm/build@host:pid`; empty where it is another's."""
    _, _, rest = identity.partition("/")
    return rest.partition("@")[0]
