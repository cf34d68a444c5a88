"""The steps of a release that touch the world. Each may run again at any time and finds done what was done."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from temporalio import activity

from pipeline.deployments import Deployment, Deployments, Worker, polls
from pipeline.errors import NoLiveWorker, PropagationStuck, RoutingChanged
from pipeline.rollout import diagnosis
from pipeline.rollout.messages import (
    BUILD_ENTRY,
    QUARANTINE_ENTRY,
    Quarantined,
    Reference,
    Registered,
    Route,
    Routing,
    Started,
    Undo,
)
from pipeline.runtimes import Runtime

CONFIRM = timedelta(seconds=2)
"""How long a build's workers are watched after it became Current."""
ROUTING_ATTEMPTS = 5
PROPAGATION_ATTEMPTS = 2
PROPAGATION = timedelta(seconds=15)
"""By when routing has propagated in all but the rare cases in which the server leaves it in progress."""


class Activities:
    """Bound to one namespace and one runtime."""

    def __init__(self, deployments: Deployments, runtime: Runtime) -> None:
        self._deployments = deployments
        self._runtime = runtime

    @activity.defn(name="conduit.routing")
    async def routing(self, build: Reference) -> Routing:
        """Read where calls go before anything is changed."""
        seen = await self._deployments.describe(build.algorithm)
        return Routing(current=seen and seen.current, ramping=seen and seen.ramping)

    @activity.defn(name="conduit.tidy")
    async def tidy(self, candidate: Reference) -> None:
        """Stop the workers that a release left behind which was cut off before its build took any call."""
        seen = await self._deployments.describe(candidate.algorithm)
        workers = await asyncio.to_thread(self._runtime.workers, candidate.algorithm)
        for build_id in sorted({worker.build_id for worker in workers if worker.alive}):
            if build_id != candidate.build_id and not took_calls(seen, build_id):
                await asyncio.to_thread(self._runtime.stop, candidate.algorithm, build_id)

    @activity.defn(name="conduit.start")
    async def start(self, request: Started) -> None:
        """Start what is missing of the build's workers."""
        await asyncio.to_thread(self._runtime.start, request.build, request.replicas)

    @activity.defn(name="conduit.register")
    async def register(self, request: Started) -> None:
        """Wait until Temporal lists the version and hears every worker.

        Raises:
            SetupFailed, SetupHung, ImportFailed, WorkerDied, NotRegistered, VersionLimit: why it never will.
        """
        build = request.build
        try:
            async with asyncio.timeout(request.timeout):
                async for _ in polls(most=0.3):
                    await self._raise_if_one_died(build.algorithm, build.build_id)
                    if await self._is_able(request):
                        return
        except TimeoutError:
            log = await self._log(build.algorithm, build.build_id)
            seen = await self._deployments.describe(build.algorithm)
            raise diagnosis.never_registered(build, log, seen, request.timeout) from None

    async def _is_able(self, request: Started) -> bool:
        build = request.build
        if not await self._deployments.is_registered(build.algorithm, build.build_id, build.host.task_queue):
            return False
        return len(await self._live(build.algorithm, build.build_id)) >= request.replicas

    @activity.defn(name="conduit.describe")
    async def describe(self, about: Registered) -> None:
        """Write who built what into the version's metadata, unless it is there."""
        build = about.build
        details = await self._deployments.details(build.algorithm, build.build_id)
        if details is None or BUILD_ENTRY not in details.metadata:
            entry = about.model_dump_json().encode()
            await self._deployments.write_metadata(build.algorithm, build.build_id, {BUILD_ENTRY: entry})

    @activity.defn(name="conduit.route")
    async def route(self, request: Route) -> None:
        """Make the build Current and clear any ramp.

        Raises:
            RoutingChanged: Current is no longer what the release began with.
            NoLiveWorker: no worker of the build lives; its calls would wait for ever.
        """
        for attempt in range(ROUTING_ATTEMPTS):
            seen = await self._deployments.describe(request.algorithm)
            if seen is None or seen.current not in (request.expected, request.build_id):
                raise diagnosis.routing_changed(request, seen)
            try:
                return await self._route(request, seen)
            except RoutingChanged:
                if attempt + 1 == ROUTING_ATTEMPTS:
                    raise
        return None

    async def _route(self, request: Route, seen: Deployment) -> None:
        if seen.current != request.build_id:
            if request.build_id and not await self._live(request.algorithm, request.build_id):
                raise NoLiveWorker(
                    f"Build {request.build_id} of {request.algorithm} has no live worker.",
                    why="Calls that are routed to it would wait for ever.",
                    now="Start its workers, or choose another build.",
                )
            await self._deployments.set_current(seen, request.build_id or "")
        if seen.ramping:
            again = await self._deployments.describe(request.algorithm)
            if again is not None and again.ramping:
                await self._deployments.clear_ramp(again)

    @activity.defn(name="conduit.propagate")
    async def propagate(self, build: Reference) -> bool:
        """Wait until all task queues know the routing; where that is stuck, set the same Current once more.

        Returns:
            whether they know it. A server may leave a change "in progress" long after it took effect, and then an
            undoing change would be left so too: it is told to people, and the release goes on.
        """
        for _ in range(PROPAGATION_ATTEMPTS):
            try:
                await self._deployments.wait_propagated(build.algorithm, PROPAGATION)
            except PropagationStuck:
                seen = await self._deployments.describe(build.algorithm)
                if seen is None or seen.current != build.build_id:
                    return False
                await self._deployments.set_current(seen, build.build_id)
            else:
                return True
        return False

    @activity.defn(name="conduit.confirm")
    async def confirm(self, build: Reference) -> None:
        """See for a moment that the workers outlive their first calls.

        Raises:
            WorkerDied: one did not.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + CONFIRM.total_seconds()
        async for _ in polls(most=0.2):
            await self._raise_if_one_died(build.algorithm, build.build_id)
            if loop.time() > until:
                return

    @activity.defn(name="conduit.undo")
    async def undo(self, request: Undo) -> None:
        """Put the routing back to what it was, and stop the candidate's workers unless it was Current before.

        Nothing is changed where somebody else has routed calls on since.
        """
        algorithm, candidate = request.candidate.algorithm, request.candidate.build_id
        if candidate == request.was:
            return
        seen = await self._deployments.describe(algorithm)
        if seen is not None and seen.current == candidate:
            await self.route(Route(algorithm=algorithm, build_id=request.was, expected=candidate))
        await asyncio.to_thread(self._runtime.stop, algorithm, candidate)

    @activity.defn(name="conduit.quarantine")
    async def quarantine(self, request: Quarantined) -> None:
        """Write into the version's metadata that it must not be promoted again, and why."""
        build = request.build
        entry = request.quarantine.model_dump_json().encode()
        await self._deployments.write_metadata(build.algorithm, build.build_id, {QUARANTINE_ENTRY: entry})

    async def _live(self, algorithm: str, build_id: str) -> list[Worker]:
        async def read() -> Iterable[Worker]:
            return [w for w in await self._deployments.workers(algorithm) if w.build_id == build_id]

        return list(await self._deployments.live(read))

    async def _raise_if_one_died(self, algorithm: str, build_id: str) -> None:
        workers = await asyncio.to_thread(self._runtime.workers, algorithm)
        dead = [worker for worker in workers if worker.build_id == build_id and not worker.alive]
        if dead:
            raise diagnosis.death(dead[0], await self._log(algorithm, build_id))

    async def _log(self, algorithm: str, build_id: str) -> str:
        return await asyncio.to_thread(self._runtime.log, algorithm, build_id)


def took_calls(seen: Deployment | None, build_id: str) -> bool:
    """Whether production calls ever reached a build."""
    version = seen.version(build_id) if seen else None
    return version is not None and version.first_active is not None
