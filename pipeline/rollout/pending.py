"""Calls that wait for their next attempt, or are being tried: what visibility cannot be asked for.

Which calls an algorithm's builds have under way stands in the descriptions of the workflows that made them. Only so
many running workflows are looked at, the newest first; all counts made from them are "at least".
"""

import asyncio
from collections.abc import Iterable

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from pipeline.models import Value
from pipeline.worker.probe import SavedCall
from pipeline.worker.settings import queues_of

MOST_WORKFLOWS = 200
AT_ONCE = 20
LONGEST = 300
RUNNING = "ExecutionStatus = 'Running'"


class PendingCall(Value):
    """A call that is not completed, by what its last attempt came to."""

    workflow_id: str
    run_id: str
    activity_id: str
    activity: str
    attempt: int
    build_id: str
    """Of the worker that has it or had it last."""
    failure: str = ""
    """Of the attempt before; empty if there was none."""
    timed_out: bool = False
    running: bool = False
    last: bool = False
    """Whether its caller allows no attempt after this one."""

    @property
    def key(self) -> str:
        """The call, whatever its attempt; a run's ID is of no other workflow."""
        return f"{self.run_id}/{self.activity_id}"

    @property
    def failures(self) -> int:
        """How many of its attempts failed: the server counts the next one as begun when it waits for it."""
        return self.attempt - 1

    @property
    def saved(self) -> SavedCall:
        """The call as a candidate is asked whether it reads its state."""
        return SavedCall(
            workflow_id=self.workflow_id,
            run_id=self.run_id,
            activity_id=self.activity_id,
            activity=self.activity,
            last=self.last,
        )


async def pending_calls(client: Client, algorithm: str) -> tuple[PendingCall, ...]:
    """The calls that running workflows have with an algorithm's builds, those on its batch queue too."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def read(workflow_id: str, run_id: str) -> list[PendingCall]:
        async with limit:
            return [c for c in await _of(client, workflow_id, run_id, algorithm) if c is not None]

    runs = [(w.id, w.run_id) async for w in client.list_workflows(RUNNING, limit=MOST_WORKFLOWS)]
    found = await asyncio.gather(*(read(*run) for run in runs))
    return tuple(call for calls in found for call in calls)


async def of_workflows(
    client: Client, algorithm: str, runs: Iterable[tuple[str, str]]
) -> tuple[PendingCall, ...]:
    """The same of workflows that are known."""
    found = await asyncio.gather(*(_of(client, *run, algorithm) for run in runs))
    return tuple(call for calls in found for call in calls)


async def _of(client: Client, workflow_id: str, run_id: str, algorithm: str) -> list[PendingCall]:
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    )
    try:
        seen = await client.workflow_service.describe_workflow_execution(request)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return []
        raise
    return [
        _call(workflow_id, run_id, info)
        for info in seen.pending_activities
        if info.last_deployment_version.deployment_name in queues_of(algorithm)
    ]


def _call(workflow_id: str, run_id: str, info: PendingActivityInfo) -> PendingCall:
    failed = info.HasField("last_failure")
    return PendingCall(
        workflow_id=workflow_id,
        run_id=run_id,
        activity_id=info.activity_id,
        activity=info.activity_type.name,
        attempt=info.attempt,
        build_id=info.last_deployment_version.build_id,
        failure=_told(info.last_failure) if failed else "",
        timed_out=failed and info.last_failure.HasField("timeout_failure_info"),
        running=info.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        last=0 < info.maximum_attempts <= info.attempt,
    )


def _told(failure: Failure) -> str:
    if failure.HasField("server_failure_info") and failure.HasField("cause"):
        return _told(
            failure.cause
        )  # with a long traceback it is beyond the server's limit, and wrapped by it
    kind = failure.application_failure_info.type
    return f"{kind}: {failure.message}"[:LONGEST] if kind else failure.message[:LONGEST]
