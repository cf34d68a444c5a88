"""The steps of a release that touch the world. Each may run again at any time and finds done what was done."""

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus

from pipeline import gates
from pipeline.deployments import Deployment, Deployments, Version, Worker, polls
from pipeline.errors import ConduitError, NoLiveWorker, PropagationStuck, RoutingChanged, Superseded
from pipeline.models import BUILD_ENTRY
from pipeline.rollout import diagnosis, policy
from pipeline.rollout.messages import (
    APPROVAL_ENTRY,
    QUARANTINE_ENTRY,
    Approved,
    Before,
    Quarantined,
    RampTo,
    Reference,
    Registered,
    Route,
    Routing,
    Started,
    Undo,
    Wanted,
    workflow_id,
)
from pipeline.rollout.pending import pending_calls
from pipeline.rollout.retire import read_lineage
from pipeline.runtimes import LocalWorker, Runtime, dead
from pipeline.worker.settings import batch_of, queues_of

ROUTING_ATTEMPTS = 5
PROPAGATION_ATTEMPTS = 4
MOST_STATES = 500
"""Calls under way whose saved state a candidate is asked to read: a request has little room."""
HEARD = timedelta(seconds=10)
"""How long a worker is listened for whose heartbeat is late: its machine may be busy."""
REVIVAL = timedelta(minutes=2)
"""By when a build's workers have to be back that died while a newer build was released."""
PROPAGATION = timedelta(seconds=6)
"""By when routing has propagated in all but the rare cases in which the server leaves it in progress."""


class Activities:
    """Bound to one namespace and one runtime."""

    def __init__(self, client: Client, deployments: Deployments, runtime: Runtime) -> None:
        self._client = client
        self._deployments = deployments
        self._runtime = runtime

    @activity.defn(name="conduit.routing")
    async def routing(self, build: Wanted) -> Before:
        """Read where calls go before anything is changed."""
        seen = await self._deployments.describe(build.algorithm)
        if seen is None:
            return Before(current=None, was=None, is_used=False)
        batch = await self._deployments.describe(build.for_batch.deployment)
        was = seen.current
        if was == build.build_id:  # a release that was cut off would go back further
            was = await self._first_good(seen.name, policy.earlier(seen))
        workers = await self._deployments.workers(build.algorithm)
        if batch is not None:
            workers += await self._deployments.workers(batch.name)
        return Before(
            current=seen.current,
            was=was,
            promised=policy.promised(seen),
            is_used=any(w.processed or w.used_slots for w in workers if w.build_id != build.build_id),
            batch=batch.current if batch else None,
            batch_was=await self._batch_target(batch, seen, build.build_id) if batch else None,
            versions=len(seen.versions),
            lineage=await read_lineage(self._deployments, seen) if build.lineage else None,
        )

    async def _batch_target(self, batch: Deployment, own: Deployment, leaving: str) -> str | None:
        return await self._first_good(own.name, policy.batch_targets(batch, own, leaving))

    async def _first_good(self, algorithm: str, builds: Iterable[str]) -> str | None:
        """The first that is not quarantined."""
        for build_id in builds:
            details = await self._deployments.details(algorithm, build_id)
            if details is not None and QUARANTINE_ENTRY not in details.metadata:
                return build_id
        return None

    @activity.defn(name="conduit.tidy")
    async def tidy(self, candidate: Reference) -> None:
        """Clear the ramp and stop the workers that a release left behind which was cut off."""
        seen = await self._deployments.describe(candidate.algorithm)
        if seen is not None:
            await self._raise_if_superseded(candidate.algorithm)
            await self._clear_ramp(seen)
        batch = await self._deployments.describe(candidate.for_batch.deployment)
        for_batch = await self._tidy_batch(candidate, batch, seen) if batch and seen else None
        workers = await asyncio.to_thread(self._runtime.workers, candidate.algorithm)
        for build_id in sorted({worker.build_id for worker in workers if worker.alive}):
            if build_id not in (candidate.build_id, for_batch) and not was_current(seen, build_id):
                await asyncio.to_thread(self._runtime.stop, candidate.algorithm, build_id)

    async def _tidy_batch(self, candidate: Reference, batch: Deployment, own: Deployment) -> str | None:
        """Take batch calls from a build that was never promoted, if there is a better one; return who has them."""
        target = await self._batch_target(batch, own, candidate.build_id)
        if batch.current in (None, candidate.build_id, target) or target is None:
            return batch.current
        await self._revive(candidate.for_batch, target)
        await self.route(Route(algorithm=own.name, batch=True, build_id=target, expected=(batch.current,)))
        return target

    async def _clear_ramp(self, seen: Deployment) -> None:
        if seen.ramping:
            again = await self._deployments.describe(seen.name)
            if again is not None and again.ramping:
                await self._deployments.clear_ramp(again)

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
            heard = bool(await self._live(build.algorithm, build.build_id))
            raise diagnosis.never_registered(build, log, seen, request.timeout, heard=heard) from None

    async def _is_able(self, request: Started) -> bool:
        build = request.build
        queues = [build.host.task_queue]
        if build.host.batch_slots:
            queues.append(batch_of(build.algorithm))
        able = [await self._takes(queue, request) for queue in queues]
        return all(able)

    async def _takes(self, queue: str, request: Started) -> bool:
        """Whether all of a build's workers take calls from a queue; its deployment has the queue's name."""
        build_id = request.build.build_id
        if not await self._deployments.is_registered(queue, build_id, queue):
            return False
        return await self._able(queue, build_id) >= request.replicas

    @activity.defn(name="conduit.describe")
    async def describe(self, about: Registered) -> None:
        """Write who built what into the version's metadata, unless it is there."""
        build = about.build
        details = await self._deployments.details(build.algorithm, build.build_id)
        if details is None or BUILD_ENTRY not in details.metadata:
            entry = about.model_dump_json().encode()
            await self._deployments.write_metadata(build.algorithm, build.build_id, {BUILD_ENTRY: entry})

    @activity.defn(name="conduit.gate")
    async def gate(self, request: gates.GateRequest) -> gates.GateReport:
        """Call the candidate alone, before any production call reaches it."""
        report = await gates.run(self._client, self._deployments, request)
        calls = await pending_calls(self._client, request.build.algorithm)
        others = [call.saved for call in calls if call.build_id != request.build.build_id]
        told = await gates.with_states(self._client, request.build, others[:MOST_STATES], report)
        if gates.approved(told) in request.approvals:
            await self._note_approval(request, gates.approved(told))
        return told

    async def _note_approval(self, request: gates.GateRequest, digest: str) -> None:
        """Write into the version's metadata who approved its change, in the place of the quarantine for it."""
        approved = Approved(digest=digest, by=request.by, reason=request.reason, at=datetime.now(UTC))
        await self._deployments.write_metadata(
            request.build.algorithm,
            request.build.build_id,
            {APPROVAL_ENTRY: approved.model_dump_json().encode()},
            remove=(QUARANTINE_ENTRY,),
        )

    @activity.defn(name="conduit.ramp")
    async def ramp(self, request: RampTo) -> None:
        """Route a share of the workflows to a build. Whether all queues know it yet, its calls will show.

        Raises:
            NoLiveWorker: no worker of the build lives.
        """
        build = request.build
        for attempt in range(ROUTING_ATTEMPTS):
            seen = await self._deployments.describe(build.algorithm)
            if seen is None or (seen.ramping, seen.ramp_percentage) == (build.build_id, request.percent):
                break
            try:
                await self._raise_if_not_alive(build, build.build_id)
                await self._raise_if_superseded(build.algorithm)
                await self._deployments.set_ramp(seen, build.build_id, request.percent)
            except RoutingChanged:
                if attempt + 1 == ROUTING_ATTEMPTS:
                    raise
            else:
                break

    @activity.defn(name="conduit.route")
    async def route(self, request: Route) -> None:
        """Make the build Current and clear any ramp.

        Raises:
            RoutingChanged: Current is no longer what the release began with.
            NoLiveWorker: no worker of the build lives; its calls would wait for ever.
        """
        for attempt in range(ROUTING_ATTEMPTS):
            seen = await self._deployments.describe(request.deployment)
            if seen is None or seen.current not in (*request.expected, request.build_id):
                raise diagnosis.routing_changed(request, seen)
            try:
                return await self._route(request, seen)
            except RoutingChanged:
                if attempt + 1 == ROUTING_ATTEMPTS:
                    raise
        return None

    async def _route(self, request: Route, seen: Deployment) -> None:
        if seen.current != request.build_id:
            if request.build_id:
                await self._raise_if_not_alive(request, request.build_id)
            await self._raise_if_superseded(request.algorithm)
            await self._deployments.set_current(seen, request.build_id or "")
        await self._clear_ramp(seen)
        if request.build_id and not request.batch:
            with contextlib.suppress(ConduitError):  # calls go where they should: that is what counts
                await self._acquit(request.algorithm, request.build_id)

    async def _acquit(self, algorithm: str, build_id: str) -> None:
        """Lift the quarantine of a build that somebody made Current in spite of it."""
        details = await self._deployments.details(algorithm, build_id)
        if details is not None and QUARANTINE_ENTRY in details.metadata:
            await self._deployments.write_metadata(algorithm, build_id, {}, remove=(QUARANTINE_ENTRY,))

    async def _raise_if_not_alive(self, routing: Routing, build_id: str) -> None:
        if not await self._is_alive(routing, build_id):
            raise NoLiveWorker(
                f"Build {build_id} of {routing.deployment} has no live worker.",
                why="Calls that are routed to it would wait for ever.",
                now="Start its workers, or choose another build.",
            )

    async def _is_alive(self, routing: Routing, build_id: str) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARD.total_seconds()):
                async for _ in polls(most=0.5):
                    if await self._live(routing.deployment, build_id) or await self._comes(routing, build_id):
                        return True
        return False

    async def _comes(self, routing: Routing, build_id: str) -> bool:
        """Whether a worker takes calls that was not heard yet. The server lists one that died as well."""
        polling = await self._newcomers(routing.deployment, build_id)
        return bool(polling) and not await self._dead(routing.algorithm, build_id)

    async def _raise_if_superseded(self, algorithm: str) -> None:
        """See that the release which this step is a part of still is the one that runs.

        A step that was under way when its release was superseded would else change what the newer one routed.
        """
        ours = activity.info().workflow_run_id if activity.in_activity() else None
        seen = await self._client.get_workflow_handle(workflow_id(algorithm)).describe()
        if ours and (seen.run_id != ours or seen.status != WorkflowExecutionStatus.RUNNING):
            raise Superseded(
                "The release was superseded.",
                why="A newer release or a roll-back of the same algorithm took its place.",
                now="Look at `conduit history`.",
            )

    @activity.defn(name="conduit.propagate")
    async def propagate(self, build: Reference) -> bool:
        """Wait until all task queues know the routing; where that is stuck, set the same Current again.

        On a loaded server the first Current of a new deployment was seen to stay "in progress", with calls that
        waited, until the same Current was set again.

        Returns:
            whether they know it. A server may leave a change "in progress" long after it took effect, and then an
            undoing change would be left so too: it is told to people, and the release goes on.
        """
        for _ in range(PROPAGATION_ATTEMPTS):
            try:
                await self._deployments.wait_propagated(build.deployment, build.build_id, PROPAGATION)
            except PropagationStuck:
                seen = await self._deployments.describe(build.deployment)
                if seen is None or seen.current != build.build_id:
                    return False
                await self._deployments.set_current(seen, build.build_id)
            else:
                return True
        return False

    @activity.defn(name="conduit.undo")
    async def undo(self, request: Undo) -> None:
        """Put the routing back to what it was, and clear the ramp.

        Nothing is changed where somebody else has routed calls on since.
        """
        candidate = request.candidate.build_id
        routing = Routing(algorithm=request.candidate.algorithm, batch=request.candidate.batch)
        seen = await self._deployments.describe(routing.deployment)
        if seen is None:
            return
        if seen.current == candidate and not request.stays:
            await self._revive(routing, request.was)
            back = Route(**dict(routing), build_id=request.was, expected=(candidate,))
            await self.route(back)
        elif seen.ramping == candidate:
            await self._raise_if_superseded(routing.algorithm)
            await self._clear_ramp(seen)

    async def _revive(self, routing: Routing, build_id: str | None) -> None:
        """Start the workers of the build to go back to, if they died meanwhile."""
        if build_id is None or await self._is_alive(routing, build_id):
            return
        build = await asyncio.to_thread(self._runtime.build, routing.algorithm, build_id)
        if build is not None:
            await asyncio.to_thread(self._runtime.start, build, 1)
            await self.register(Started(build=build, replicas=1, timeout=REVIVAL.total_seconds()))

    @activity.defn(name="conduit.stop")
    async def stop(self, build: Reference) -> None:
        """Stop a build's workers, unless calls are routed to it; what they are at is handed back."""
        seen = [await self._deployments.describe(name) for name in queues_of(build.algorithm)]
        if not any(build.build_id in (one.current, one.ramping) for one in seen if one):
            await asyncio.to_thread(self._runtime.stop, build.algorithm, build.build_id)

    @activity.defn(name="conduit.quarantine")
    async def quarantine(self, request: Quarantined) -> None:
        """Write into the version's metadata that it must not be promoted again, and why."""
        build = request.build
        # An older toolkit believes what it knows whole, and would take a build with more for a good one.
        entry = request.quarantine.model_dump_json(exclude_defaults=True).encode()
        await self._deployments.write_metadata(build.algorithm, build.build_id, {QUARANTINE_ENTRY: entry})

    async def _live(self, deployment: str, build_id: str) -> list[Worker]:
        async def read() -> Iterable[Worker]:
            return [w for w in await self._deployments.workers(deployment) if w.build_id == build_id]

        return list(await self._deployments.live(read))

    async def _able(self, deployment: str, build_id: str) -> int:
        """How many workers can take calls: a new one takes them a second before it is first heard."""
        heard = len(await self._live(deployment, build_id))
        return heard + len(await self._newcomers(deployment, build_id))

    async def _newcomers(self, deployment: str, build_id: str) -> tuple[str, ...]:
        return await self._deployments.newcomers(deployment, build_id, task_queue=deployment)

    async def _raise_if_one_died(self, algorithm: str, build_id: str) -> None:
        if died := await self._dead(algorithm, build_id):
            raise diagnosis.death(died[0], await self._log(algorithm, build_id))

    async def _dead(self, algorithm: str, build_id: str) -> list[LocalWorker]:
        return dead(await asyncio.to_thread(self._runtime.workers, algorithm), build_id)

    async def _log(self, algorithm: str, build_id: str) -> str:
        return await asyncio.to_thread(self._runtime.log, algorithm, build_id)


def was_current(seen: Deployment | None, build_id: str) -> bool:
    """Whether all production calls were ever routed to a build."""
    version: Version | None = seen.version(build_id) if seen else None
    return version is not None and version.was_current
