"""Beginning a release or a roll-back: one at a time for each algorithm, the newer commit before the older one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from pipeline import errors
from pipeline.deployments import Deployments, is_absent, polls
from pipeline.models import Build
from pipeline.rollout import process
from pipeline.rollout.activities import was_current
from pipeline.rollout.follow import Handle, OnStep, follow
from pipeline.rollout.hold import Hold
from pipeline.rollout.messages import ReleaseRequest, RollBackRequest, Routed, workflow_id
from pipeline.rollout.observe import Beats
from pipeline.rollout.policy import Ancestry, InFlight, begin
from pipeline.rollout.roll_back import RollBack
from pipeline.rollout.serving import task_queue, worker
from pipeline.rollout.workflow import Rollout
from pipeline.runtimes import Runtime
from pipeline.worker.settings import batch_of

UNHEARD = timedelta(seconds=8)
"""How long the host of a release is listened for before it counts as dead; it heartbeats every second."""
ROLL_BACK = "RollBack"
BAD, WAS_CURRENT, RUN_URL = "bad", "was_current", "run_url"
"""Entries of a roll-back's memo: the same one may be asked for again while it runs, or by a job that is run again."""
ATTEMPTS = 5
"""How often another release may begin at the very same moment."""


async def in_flight(client: Client, algorithm: str) -> InFlight | None:
    """Find the release of an algorithm that is running now, and whether somebody serves it.

    A host that is not of this machine and was not heard yet is listened for: that takes a second if it lives.
    """
    seen = await running(client, algorithm)
    if seen is None:
        return None
    memo = await seen.memo()
    lives = process.lives(str(memo.get("host", "")))
    return InFlight(
        build_id=str(memo.get("build_id", "")),
        sha=str(memo.get("sha", "")),
        task_queue=seen.task_queue,
        host_is_alive=await _is_served(client, seen.task_queue) if lives is None else lives,
        run_id=seen.run_id,
        is_roll_back=seen.workflow_type == ROLL_BACK,
    )


async def running(client: Client, algorithm: str) -> WorkflowExecutionDescription | None:
    """The release or roll-back of an algorithm that is running now."""
    seen = await latest(client, algorithm)
    return seen if seen and seen.status == WorkflowExecutionStatus.RUNNING else None


async def latest(client: Client, algorithm: str) -> WorkflowExecutionDescription | None:
    """The release or roll-back of an algorithm that began last, running or not."""
    try:
        return await client.get_workflow_handle(workflow_id(algorithm)).describe()
    except RPCError as error:
        if is_absent(error):
            return None
        raise


async def _is_served(client: Client, queue: str) -> bool:
    deployments, beats = Deployments(client), Beats()
    until = time.monotonic() + UNHEARD.total_seconds()
    async for _ in polls(first=0.3, most=0.5):
        now = time.monotonic()
        beats.read(await deployments.workers_on(queue), now)
        if beats.heard:
            return True
        if now > until:
            return False
    return False


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
    queue = task_queue(build.algorithm)
    try:
        handle = await start(client, request, is_ancestor, queue, host=process.this())
        async with worker(client, queue, runtime):
            return await follow(handle, on_step)
    except errors.Superseded:
        await _leave(client, build, runtime)
        raise


async def start(
    client: Client, request: ReleaseRequest, is_ancestor: Ancestry, queue: str, *, host: str = ""
) -> Handle:
    """Begin a release on a queue, in the place of an older one or of one that nobody serves.

    Raises:
        ReleaseInFlight, OlderCommit: another release goes on.
    """
    build = request.build
    for _ in range(ATTEMPTS):
        other = await in_flight(client, build.algorithm)
        begin(build.algorithm, build.commit, other, is_ancestor)
        if other is not None:
            await _end(client, build.algorithm, other)
        superseded = other.build_id if other and other.build_id != build.build_id else None
        try:
            return await _begin(
                client,
                Rollout.run,
                request.model_copy(update={"supersedes": superseded or request.supersedes}),
                build,
                queue,
                summary="release",
                memo={"host": host, "approved": " ".join(request.approvals)},
            )
        except WorkflowAlreadyStartedError:
            continue  # another began at the same moment: which of the two goes on is decided anew
    raise errors.ReleaseInFlight(
        f"Other releases of {build.algorithm} begin all the time.",
        now="Wait for them, then run the command again.",
    )


async def _end(client: Client, algorithm: str, other: InFlight) -> None:
    """End that very run: one that began since is another's, and is judged anew."""
    try:
        await client.get_workflow_handle(workflow_id(algorithm), run_id=other.run_id).terminate(
            reason="superseded"
        )
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise


async def _leave(client: Client, build: Build, runtime: Runtime) -> None:
    """Undo what the steps of a superseded release did in their last moments: no ramp, no worker is left."""
    deployments = Deployments(client)
    other = await running(client, build.algorithm)
    if other is not None and (await other.memo()).get("build_id") == build.build_id:
        return  # it goes on with this build
    seen = await deployments.describe(build.algorithm)
    if seen is not None and seen.ramping == build.build_id:
        await deployments.clear_ramp(seen)
    batch = await deployments.describe(batch_of(build.algorithm))
    # Those calls the newer release takes over.
    has_batch_calls = batch is not None and batch.current == build.build_id
    if not was_current(seen, build.build_id) and not has_batch_calls:
        await asyncio.to_thread(runtime.stop, build.algorithm, build.build_id)


async def end_cut_off(client: Client, build: Build, runtime: Runtime) -> None:
    """End the release of a build whose host was killed after its quarantine: it had only workers left to stop."""
    other = await in_flight(client, build.algorithm)
    if other is None or other.build_id != build.build_id or other.host_is_alive:
        return
    await _end(client, build.algorithm, other)
    seen = await Deployments(client).describe(build.algorithm)
    if seen is None or build.build_id not in (seen.current, seen.ramping):
        await asyncio.to_thread(runtime.stop, build.algorithm, build.build_id)


async def roll_back(client: Client, request: RollBackRequest, runtime: Runtime, on_step: OnStep) -> Routed:
    """Roll back, whatever release is running: it is ended, and cannot interfere any more.

    Raises:
        ConduitError: what stopped it; the routing is as it was.
    """
    target = request.target
    queue = task_queue(target.algorithm)
    handle = await _begin(
        client,
        RollBack.run,
        request,
        target,
        queue,
        summary="roll back to",
        memo={
            "host": process.this(),
            BAD: " ".join((request.bad, *request.also_bad)),
            WAS_CURRENT: str(request.was_current),
            RUN_URL: request.run_url,
        },
        others=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
    )
    async with worker(client, queue, runtime):
        return await follow(handle, on_step)


async def hold(client: Client, request: ReleaseRequest, runtime: Runtime, on_step: OnStep) -> Routed:
    """Register a placeholder and let calls wait at the server until a build is promoted.

    Raises:
        ReleaseInFlight: a release is running.
        ConduitError: what stopped it; the routing is as it was.
    """
    build = request.build
    queue = task_queue(build.algorithm)
    other = await in_flight(client, build.algorithm)
    if other is not None and not other.host_is_alive:
        await _end(client, build.algorithm, other)
    try:
        handle = await _begin(
            client,
            Hold.run,
            request,
            build,
            queue,
            summary="hold calls with",
            memo={"host": process.this()},
        )
    except WorkflowAlreadyStartedError:
        raise errors.ReleaseInFlight(
            f"A release of {build.algorithm} is running.",
            why="It decides where calls go.",
            now=f"Look at `conduit status {build.algorithm}`; there may be nothing to hold any more.",
        ) from None
    async with worker(client, queue, runtime):
        return await follow(handle, on_step)


async def _begin(
    client: Client,
    run: Callable[[Any, Any], Awaitable[Routed]],
    request: ReleaseRequest | RollBackRequest,
    build: Build,
    queue: str,
    *,
    summary: str,
    memo: Mapping[str, str],
    others: WorkflowIDConflictPolicy = WorkflowIDConflictPolicy.FAIL,
) -> Handle:
    """Start what changes an algorithm's routing, under the one ID that excludes all others.

    Args:
        memo: what `history` and a second release read without opening the run, beside what is known of any.

    Raises:
        WorkflowAlreadyStartedError: another is running, and `others` does not end it.
    """
    return await client.start_workflow(
        run,
        request,
        id=workflow_id(build.algorithm),
        task_queue=queue,
        id_conflict_policy=others,
        memo={
            "build_id": build.build_id,
            "sha": build.commit.sha,
            "author": build.commit.author,
            "by": request.by,
            "reason": request.reason,
            **memo,
        },
        static_summary=f"{build.algorithm}: {summary} {build.build_id}",
    )
