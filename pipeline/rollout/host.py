"""Running a release from a command: its worker lives as long as the command follows it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    Worker,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from pipeline import errors
from pipeline.deployments import Deployments
from pipeline.errors import ConduitError
from pipeline.models import Commit
from pipeline.rollout.activities import Activities
from pipeline.rollout.events import scheduled_by
from pipeline.rollout.heal import Healer
from pipeline.rollout.messages import ReleaseRequest, RollBackRequest, Routed, workflow_id
from pipeline.rollout.observe import OBSERVE, Observer
from pipeline.rollout.policy import Ancestry, Begin, InFlight, begin
from pipeline.rollout.retire import Retirer
from pipeline.rollout.workflow import RollBack, Rollout
from pipeline.runtimes import Runtime

HEARTBEAT = 2.0
"""Seconds between two heartbeats of a release's own activities."""
BEFORE_ITS_HEARTBEAT = timedelta(seconds=5)
"""So young a release counts as alive: its host may not have been heard yet."""
WORTH_A_RETRY = (errors.TemporalUnreachable, errors.RuntimeUnavailable)

OnStep = Callable[[str, str, float], None]
"""Called with a step's name, `started`, `ok` or `failed`, and the seconds that it took."""


def task_queue(algorithm: str) -> str:
    """The queue of a release: of this machine alone, as workers are started where it is served."""
    return f"conduit/{algorithm}@{socket.gethostname()}"


class _Reporting(ActivityInboundInterceptor):
    """Heartbeats while a step runs, and carries our errors over to the command that waits."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if activity.info().activity_type == OBSERVE:  # its own heartbeats carry what it has gathered
            return await self._carried(input)
        beating = asyncio.create_task(_beat())
        try:
            return await self._carried(input)
        finally:
            beating.cancel()

    async def _carried(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except ConduitError as error:
            raise ApplicationError(
                error.what,
                error.fields(),
                type=type(error).__name__,
                non_retryable=not isinstance(error, WORTH_A_RETRY),
            ) from error


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT)


class Reporting(Interceptor):
    """See `_Reporting`."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Wrap every activity of the worker."""
        return _Reporting(next)


@asynccontextmanager
async def worker(client: Client, algorithm: str, runtime: Runtime) -> AsyncIterator[None]:
    """Serve an algorithm's releases on this machine."""
    async with Worker(
        client,
        task_queue=task_queue(algorithm),
        workflows=[Rollout, RollBack],
        activities=_steps(client, runtime),
        interceptors=[Reporting()],
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules("pipeline")
        ),
        graceful_shutdown_timeout=timedelta(seconds=1),
        max_heartbeat_throttle_interval=timedelta(seconds=HEARTBEAT),
    ):
        yield


def _steps(client: Client, runtime: Runtime) -> list[Callable[..., Any]]:
    deployments = Deployments(client)
    steps = Activities(client, deployments, runtime)
    observer = Observer(client, deployments, runtime)
    return [
        steps.routing,
        steps.tidy,
        steps.start,
        steps.register,
        steps.describe,
        steps.gate,
        steps.ramp,
        steps.route,
        steps.propagate,
        steps.undo,
        steps.stop,
        steps.quarantine,
        observer.counters,
        observer.observe,
        Healer(client).heal,
        Retirer(client, deployments, runtime).retire,
    ]


async def in_flight(client: Client, algorithm: str) -> InFlight | None:
    """Find the release of an algorithm that is running now."""
    try:
        seen = await client.get_workflow_handle(workflow_id(algorithm)).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise
    if seen.status != WorkflowExecutionStatus.RUNNING:
        return None
    memo = await seen.memo()
    young = datetime.now(UTC) - seen.start_time < BEFORE_ITS_HEARTBEAT
    deployments = Deployments(client)
    hosts = await deployments.live(lambda: deployments.workers_on(seen.task_queue))
    return InFlight(
        build_id=str(memo.get("build_id", "")),
        sha=str(memo.get("sha", "")),
        task_queue=seen.task_queue,
        host_is_alive=young or bool(hosts),
    )


async def release(
    client: Client, request: ReleaseRequest, runtime: Runtime, is_ancestor: Ancestry, on_step: OnStep
) -> Routed:
    """Release a build and follow it to its end.

    Raises:
        ReleaseInFlight, OlderCommit: another release goes on.
        Superseded: a newer release or a roll-back took this one's place.
        ConduitError: what stopped it; the routing is as it was.
    """
    build = request.build
    other = await in_flight(client, build.algorithm)
    how = begin(build.algorithm, build.commit, other, is_ancestor)
    policy = (
        WorkflowIDConflictPolicy.TERMINATE_EXISTING
        if how is Begin.TAKE_OVER
        else WorkflowIDConflictPolicy.FAIL
    )
    async with worker(client, build.algorithm, runtime):
        try:
            handle = await client.start_workflow(
                Rollout.run,
                request,
                id=workflow_id(build.algorithm),
                task_queue=task_queue(build.algorithm),
                id_conflict_policy=policy,
                memo=_memo(build.build_id, build.commit, request.by, request.reason),
                static_summary=f"Release {build.build_id}",
            )
        except WorkflowAlreadyStartedError:
            begin(build.algorithm, build.commit, await in_flight(client, build.algorithm), is_ancestor)
            raise errors.ReleaseInFlight(
                f"Another release of {build.algorithm} began at the same moment.",
                now="Wait for it, then run the command again.",
            ) from None
        return await _follow(handle, on_step)


async def roll_back(client: Client, request: RollBackRequest, runtime: Runtime, on_step: OnStep) -> Routed:
    """Roll back, whatever release is running: it is ended, and cannot interfere any more.

    Raises:
        ConduitError: what stopped it; the routing is as it was.
    """
    target = request.target
    async with worker(client, target.algorithm, runtime):
        handle = await client.start_workflow(
            RollBack.run,
            request,
            id=workflow_id(target.algorithm),
            task_queue=task_queue(target.algorithm),
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
            memo=_memo(target.build_id, target.commit, request.by, request.reason),
            static_summary=f"Roll back to {target.build_id}",
        )
        return await _follow(handle, on_step)


def _memo(build_id: str, commit: Commit, by: str, reason: str) -> dict[str, str]:
    """What `history` and a second release read of a run without opening it."""
    return {"build_id": build_id, "sha": commit.sha, "author": commit.author, "by": by, "reason": reason}


async def _follow(handle: WorkflowHandle[Any, Routed], on_step: OnStep) -> Routed:
    watching = asyncio.create_task(_watch(handle, on_step))
    try:
        return await handle.result()
    except WorkflowFailureError as failure:
        raise _cause(failure) from failure
    except asyncio.CancelledError:  # Ctrl-C: undo, then go
        await handle.cancel()
        await asyncio.wait({asyncio.ensure_future(_ended(handle))}, timeout=30)
        raise
    finally:
        await asyncio.wait({watching}, timeout=1)
        watching.cancel()


async def _ended(handle: WorkflowHandle[Any, Routed]) -> None:
    try:
        await handle.result()
    except WorkflowFailureError:
        return


async def _watch(handle: WorkflowHandle[Any, Routed], on_step: OnStep) -> None:
    """Tell of each step as the history grows; the server says when it does."""
    started: dict[int, tuple[str, datetime]] = {}
    async for event in handle.fetch_history_events(wait_new_event=True, skip_archival=True):
        at = event.event_time.ToDatetime(UTC)
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            name = event.user_metadata.summary.data.decode(errors="replace").strip('"')
            started[event.event_id] = (name, at)
            on_step(name, "started", 0.0)
        elif (scheduled := scheduled_by(event)) in started:
            name, since = started[scheduled]
            ok = event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
            on_step(name, "ok" if ok else "failed", (at - since).total_seconds())


def _cause(failure: WorkflowFailureError) -> ConduitError:
    cause: BaseException | None = failure.cause
    while cause is not None:
        if isinstance(cause, ApplicationError) and cause.type:
            restored = errors.restore(cause.type, cause.details[0]) if cause.details else None
            if restored:
                return restored
        if isinstance(cause, TerminatedError | CancelledError):
            return errors.Superseded(
                "The release was ended by somebody else.",
                why="A newer release or a roll-back of the same algorithm took its place.",
                now="Look at `conduit history`.",
            )
        cause = cause.__cause__
    return errors.TemporalRefused(
        "The release failed for a reason that was not foreseen.",
        why=str(failure.cause),
        now="Look at it in Temporal's UI.",
    )
