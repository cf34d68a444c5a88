"""The workflow that holds an algorithm's calls: a placeholder is registered, and no build is Current.

Calls then wait at the server. They use no attempt up and no worker, and go to the first build that is promoted.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pipeline.rollout.activities import Activities
    from pipeline.rollout.messages import Reference, Registered, ReleaseRequest, Route, Routed, Started
    from pipeline.rollout.steps import start, step


@workflow.defn
class Hold:
    """Registers a placeholder and lets no build be Current."""

    @workflow.run
    async def run(self, request: ReleaseRequest) -> Routed:
        """Hold calls, or fail and leave the routing as it was."""
        build = request.build
        reference = Reference(algorithm=build.algorithm, build_id=build.build_id)
        before = await step("read routing", Activities.routing, reference)
        await start(Started(build=build, replicas=request.replicas, timeout=request.start_timeout))
        about = Registered(build=build, by=request.by, run_url=request.run_url, at=workflow.now())
        await step("describe", Activities.describe, about)
        if before.current is not None:
            route = Route(algorithm=build.algorithm, build_id=None, expected=(before.current,))
            await step("hold", Activities.route, route)
        propagated = await step("propagate", Activities.propagate, reference)
        # It has said what it is; calls wait at the server, and nothing has to be kept running for them.
        await step("stop", Activities.stop, reference)
        return Routed(
            algorithm=build.algorithm,
            build_id=build.build_id,
            previous=before.current,
            propagated=propagated,
            by=request.by,
            reason=request.reason,
        )
