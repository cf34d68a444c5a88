"""The workflow that takes calls back to an earlier build. It has a release's ID, so the two exclude each other."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from pipeline.rollout.activities import Activities
    from pipeline.rollout.messages import (
        Before,
        Quarantine,
        Quarantined,
        Reference,
        RollBackRequest,
        Route,
        Routed,
        Started,
        Undo,
    )
    from pipeline.rollout.steps import start, step


@workflow.defn
class RollBack:
    """Routes calls back to an earlier build, which it starts again if it must, and quarantines the bad one."""

    async def _batch(self, request: RollBackRequest, before: Before) -> str | None:
        """Put batch calls back too, to the same build if it takes them; return who has them."""
        target = request.target.build_id if request.target.host.batch_slots else before.batch_was
        if before.batch in (None, target):
            return before.batch
        leaving = Reference(algorithm=request.target.algorithm, batch=True, build_id=before.batch)
        try:
            await step("route offline", Activities.undo, Undo(candidate=leaving, was=target))
        except ActivityError:
            workflow.logger.warning("batch calls could not be put back", exc_info=True)
            return before.batch
        return target

    async def _also(self, build: Reference, quarantine: Quarantine) -> None:
        """Keep a build from coming back too, if it is still there."""
        try:
            await step("quarantine", Activities.quarantine, Quarantined(build=build, quarantine=quarantine))
        except ActivityError:
            workflow.logger.warning("build %s could not be quarantined", build.build_id, exc_info=True)

    @workflow.run
    async def run(self, request: RollBackRequest) -> Routed:
        """Roll back, or fail and leave the routing as it was."""
        algorithm = request.target.algorithm
        target = Reference(algorithm=algorithm, build_id=request.target.build_id)
        bad = Reference(algorithm=algorithm, build_id=request.bad)
        started = Started(build=request.target, replicas=request.replicas, timeout=request.start_timeout)
        before, _ = await asyncio.gather(step("read routing", Activities.routing, bad), start(started))
        route = Route(algorithm=algorithm, build_id=target.build_id, expected=(request.bad,))
        await step("route", Activities.route, route)
        propagated = await step("propagate", Activities.propagate, target)
        batch = await self._batch(request, before)
        quarantine = Quarantine(reason=request.reason, by=request.by, at=workflow.now())
        await step("quarantine", Activities.quarantine, Quarantined(build=bad, quarantine=quarantine))
        for build_id in request.also_bad:
            await self._also(Reference(algorithm=algorithm, build_id=build_id), quarantine)
        if not request.was_current:
            try:
                await step("stop", Activities.stop, bad)
            except ActivityError:  # calls are back; a long grace may outlast the step
                workflow.logger.warning("the bad build's workers could not be stopped", exc_info=True)
        return Routed(
            algorithm=algorithm,
            build_id=target.build_id,
            previous=request.bad,
            propagated=propagated,
            batch=batch,
            by=request.by,
            reason=request.reason,
        )
