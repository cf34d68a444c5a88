"""`conduit history`: what was live, who did it and why, from the releases' own runs and the versions' times."""

import asyncio
from datetime import UTC, datetime
from typing import Literal

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionAsyncIterator,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)

from pipeline.commands.session import Session, deployment
from pipeline.deployments import Deployment, Deployments
from pipeline.models import Value
from pipeline.rollout.faults import restored
from pipeline.rollout.messages import workflow_id

ACTIONS: dict[str, Literal["release", "roll back", "hold"]] = {
    "Rollout": "release",
    "RollBack": "roll back",
    "Hold": "hold",
}


class Event(Value):
    """One change of an algorithm's routing, or one that was tried."""

    at: datetime
    action: Literal["release", "roll back", "hold", "became Current"]
    build_id: str
    outcome: str
    author: str
    by: str
    reason: str
    approved: str = ""
    """The breaking changes of the contract that this person approved."""
    fault: str = ""
    """Why a release failed."""


async def history(session: Session, algorithm: str, most: int) -> tuple[Event, ...]:
    """Read the last `most` events, the newest first.

    Raises:
        UnknownAlgorithm: Temporal has no such deployment.
    """
    client = await session.connect()
    seen = await deployment(Deployments(client), algorithm)
    runs = [run async for run in _runs(client, algorithm, most)]
    events = list(filter(None, await asyncio.gather(*(_event(client, run) for run in runs))))
    told = {event.build_id for event in events}
    events += [event for event in _older(seen) if event.build_id not in told]
    return tuple(sorted(events, key=lambda event: event.at, reverse=True)[:most])


def _runs(client: Client, algorithm: str, most: int) -> WorkflowExecutionAsyncIterator:
    return client.list_workflows(f'WorkflowId = "{workflow_id(algorithm)}"', limit=most)


async def _event(client: Client, run: WorkflowExecution) -> Event | None:
    action = ACTIONS.get(run.workflow_type)
    if action is None:
        return None
    memo = {key: str(value) for key, value in (await run.memo()).items()}
    return Event(
        at=run.start_time.astimezone(UTC),
        action=action,
        build_id=memo.get("build_id", ""),
        outcome=_outcome(run.status),
        author=memo.get("author", ""),
        by=memo.get("by", ""),
        reason=memo.get("reason", ""),
        approved=memo.get("approved", ""),
        fault=await _fault(client, run) if run.status is WorkflowExecutionStatus.FAILED else "",
    )


async def _fault(client: Client, run: WorkflowExecution) -> str:
    """Why a release failed, in a sentence."""
    try:
        await client.get_workflow_handle(run.id, run_id=run.run_id).result(follow_runs=False)
    except WorkflowFailureError as failure:
        error = restored(failure)
        return error.what if error else ""
    return ""


def _outcome(status: WorkflowExecutionStatus | None) -> str:
    return {
        WorkflowExecutionStatus.COMPLETED: "done",
        WorkflowExecutionStatus.RUNNING: "running",
        WorkflowExecutionStatus.FAILED: "failed",
        WorkflowExecutionStatus.TERMINATED: "superseded",
        WorkflowExecutionStatus.CANCELED: "stopped",
    }.get(status or WorkflowExecutionStatus.RUNNING, "ended")


def _older(seen: Deployment) -> list[Event]:
    """What the server remembers of builds whose release is past its retention, or was made without the conduit."""
    return [
        Event(
            at=since,
            action="became Current",
            build_id=version.build_id,
            outcome="done",
            author="",
            by="",
            reason="",
        )
        for version in seen.versions
        if (since := version.current_since or version.last_current) is not None
    ]
