"""Whether this build could go on from what running calls have saved: asked of a candidate before it gets a call.

The state is read here, from the descriptions of the calls' workflows, so that it leaves neither the server nor the
workers, and is decoded as the calls themselves would find it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.converter import ActivitySerializationContext
from temporalio.service import RPCError, RPCStatusCode

from pipeline.worker.checkpoint import Store, why_unreadable
from pipeline.worker.probe import SAVED, SavedCall, Unread

AT_ONCE = 10
LONGEST = 300
RPC_TIMEOUT = timedelta(seconds=10)


class SavedStates:
    """Reads what calls have saved with this build's checkpoints."""

    def __init__(self, client: Client, task_queue: str, store: Store | None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._store = store

    @activity.defn(name=SAVED)
    async def unread(self, calls: list[SavedCall]) -> list[Unread]:
        """The calls whose state this build cannot read, each with the reason; nothing of them is run."""
        seats = asyncio.Semaphore(AT_ONCE)

        async def check(call: SavedCall) -> str:
            async with seats:
                return await self._why(call)

        reasons = await asyncio.gather(*(check(call) for call in calls))
        return [Unread(call=call, why=why[:LONGEST]) for call, why in zip(calls, reasons, strict=True) if why]

    async def _why(self, call: SavedCall) -> str:
        details = await self._details(call)
        if not details:
            return ""
        try:
            decoded = await self._decoded(call, details)
        except Exception as error:  # a codec is research code
            return f"it cannot be decoded: {type(error).__name__}"
        return await asyncio.to_thread(why_unreadable, decoded, self._store)

    async def _details(self, call: SavedCall) -> Sequence[Payload]:
        execution = WorkflowExecution(workflow_id=call.workflow_id, run_id=call.run_id)
        request = DescribeWorkflowExecutionRequest(namespace=self._client.namespace, execution=execution)
        try:
            seen = await self._client.workflow_service.describe_workflow_execution(
                request, timeout=RPC_TIMEOUT
            )
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return ()
            raise
        found = (one for one in seen.pending_activities if one.activity_id == call.activity_id)
        return next((one.heartbeat_details.payloads for one in found), ())

    async def _decoded(self, call: SavedCall, details: Iterable[Payload]) -> list[Any]:
        context = ActivitySerializationContext(
            namespace=self._client.namespace,
            workflow_id=call.workflow_id,
            workflow_type=None,
            activity_type=call.activity,
            activity_id=call.activity_id,
            activity_task_queue=self._task_queue,
            is_local=False,
        )
        return await self._client.data_converter.with_context(context).decode(list(details))
