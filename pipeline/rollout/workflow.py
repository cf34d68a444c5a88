"""The two workflows that change an algorithm's routing. Both have its one workflow ID, so they exclude each other.

All that they rest on is in Temporal's routing, metadata and heartbeats: a release that was cut off is not resumed
but begun anew, and finds done what was done.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from pipeline.rollout.activities import Activities
    from pipeline.rollout.messages import (
        Quarantine,
        Quarantined,
        Reference,
        Registered,
        ReleaseRequest,
        RollBackRequest,
        Route,
        Routed,
        Routing,
        Started,
        Undo,
    )

T = TypeVar("T")

HEARTBEAT_TIMEOUT = timedelta(seconds=15)
RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5))
MOST = timedelta(minutes=5)
"""For a step that does not say how long it may take, retries included."""


async def step(
    name: str, activity: Callable[[Any, Any], Awaitable[T]], argument: object, most: timedelta = MOST
) -> T:
    """Run one step of a release; `name` is what people see of it, here and in Temporal's UI."""
    return await workflow.execute_activity_method(
        activity,
        argument,
        summary=name,
        schedule_to_close_timeout=most,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RETRY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def start(build: Started) -> None:
    """Have workers of the build beside those of the others, warm and seen by Temporal."""
    await step("start", Activities.start, build)
    await step("register", Activities.register, build, timedelta(seconds=build.timeout) + MOST)


@workflow.defn
class Rollout:
    """Releases one build: start, register, promote, propagate, confirm."""

    @workflow.run
    async def run(self, request: ReleaseRequest) -> Routed:
        """Route the algorithm's calls to the build, or fail and leave them as they were."""
        build = request.build
        reference = Reference(algorithm=build.algorithm, build_id=build.build_id)
        before = await step("read routing", Activities.routing, reference)
        try:
            await step("tidy", Activities.tidy, reference)
            await start(Started(build=build, replicas=request.replicas, timeout=request.start_timeout))
            propagated = await self._promote(request, before)
        except (ActivityError, asyncio.CancelledError):
            await step("undo", Activities.undo, Undo(candidate=reference, was=before.current))
            raise
        return Routed(
            algorithm=build.algorithm,
            build_id=build.build_id,
            previous=before.current,
            propagated=propagated,
            by=request.by,
            reason=request.reason,
        )

    async def _promote(self, request: ReleaseRequest, before: Routing) -> bool:
        build = request.build
        reference = Reference(algorithm=build.algorithm, build_id=build.build_id)
        about = Registered(build=build, by=request.by, run_url=request.run_url, at=workflow.now())
        await step("describe", Activities.describe, about)
        await step("promote", Activities.route, self._route(reference, before))
        propagated = await step("propagate", Activities.propagate, reference)
        await step("confirm", Activities.confirm, reference)
        return propagated

    @staticmethod
    def _route(build: Reference, before: Routing) -> Route:
        return Route(algorithm=build.algorithm, build_id=build.build_id, expected=before.current)


@workflow.defn
class RollBack:
    """Routes calls back to an earlier build, which it starts again if it must, and quarantines the bad one."""

    @workflow.run
    async def run(self, request: RollBackRequest) -> Routed:
        """Roll back, or fail and leave the routing as it was."""
        algorithm = request.target.algorithm
        target = Reference(algorithm=algorithm, build_id=request.target.build_id)
        await start(Started(build=request.target, replicas=request.replicas, timeout=request.start_timeout))
        route = Route(algorithm=algorithm, build_id=target.build_id, expected=request.bad)
        await step("route", Activities.route, route)
        propagated = await step("propagate", Activities.propagate, target)
        quarantine = Quarantine(reason=request.reason, by=request.by, at=workflow.now())
        bad = Reference(algorithm=algorithm, build_id=request.bad)
        await step("quarantine", Activities.quarantine, Quarantined(build=bad, quarantine=quarantine))
        return Routed(
            algorithm=algorithm,
            build_id=target.build_id,
            previous=request.bad,
            propagated=propagated,
            by=request.by,
            reason=request.reason,
        )
