"""Which builds' workers are stopped and which versions deleted: a pure plan, and the activity that follows it."""

import asyncio
from collections.abc import Container, Iterable
from datetime import UTC, datetime

from temporalio import activity
from temporalio.client import Client

from pipeline.deployments import Deployment, Deployments, Version, Worker
from pipeline.errors import TemporalRefused
from pipeline.models import Value, is_placeholder
from pipeline.rollout.messages import QUARANTINE_ENTRY, Lineage, Retired, RetireRequest
from pipeline.rollout.pending import PendingCall, pending_calls
from pipeline.rollout.policy import earlier
from pipeline.runtimes import Runtime
from pipeline.worker.settings import batch_of, queues_of


class Retirement(Value):
    """What is to be done."""

    stop: tuple[str, ...]
    delete: tuple[str, ...]
    busy: tuple[str, ...]


def plan(
    known: Lineage,
    request: RetireRequest,
    *,
    routed: frozenset[str],
    at_work: frozenset[str],
    started_here: frozenset[str],
    alive: frozenset[str],
) -> Retirement:
    """Choose what to stop and what to delete.

    Args:
        known: the deployment's builds.
        request: how many good builds, and how many versions, are kept.
        routed: builds that calls go to, batch calls too.
        at_work: builds that have a call now.
        started_here: builds with workers that this machine could stop.
        alive: builds with live workers anywhere.
    """
    others = [build_id for build_id in known.good if build_id != known.current]
    kept = {known.current, known.ramping, *routed, *request.spare, *others[: request.keep]}
    past = started_here - kept
    stop = past - at_work
    stays = kept | ((alive | past) - stop)
    surplus = max(0, len(known.versions) - request.records)
    oldest = [build_id for build_id in known.versions if build_id not in stays]
    return Retirement(
        stop=tuple(sorted(stop)),
        delete=tuple(oldest[:surplus]),
        busy=tuple(sorted(past & at_work)),
    )


def lineage(seen: Deployment, bad: Container[str]) -> Lineage:
    """Put a deployment's builds in order; those that are quarantined are `bad`."""
    been = [build_id for build_id in (seen.current, *earlier(seen)) if build_id]
    return Lineage(
        current=seen.current,
        ramping=seen.ramping,
        good=tuple(b for b in been if b not in bad and not is_placeholder(b)),
        versions=tuple(version.build_id for version in sorted(seen.versions, key=_age)),
    )


async def read_lineage(deployments: Deployments, seen: Deployment) -> Lineage:
    """The deployment's builds, with what only their own descriptions tell."""
    builds = [version.build_id for version in seen.versions if version.was_current]
    details = await asyncio.gather(*(deployments.details(seen.name, build_id) for build_id in builds))
    return lineage(seen, {d.build_id for d in details if d and QUARANTINE_ENTRY in d.metadata})


def _age(version: Version) -> datetime:
    return version.created or datetime.min.replace(tzinfo=UTC)


def at_work(workers: Iterable[Worker], calls: Iterable[PendingCall]) -> frozenset[str]:
    """Builds that are not idle: a slot of theirs is in use, or a call is with them.

    "Drained" does not tell: the server counts pinned workflows alone, and no activities.
    """
    used = {worker.build_id for worker in workers if worker.used_slots}
    return frozenset(used | {call.build_id for call in calls if call.running})


class Retirer:
    """Bound to one namespace and one runtime."""

    def __init__(self, client: Client, deployments: Deployments, runtime: Runtime) -> None:
        self._client = client
        self._deployments = deployments
        self._runtime = runtime

    @activity.defn(name="conduit.retire")
    async def retire(self, request: RetireRequest) -> Retired:
        """Stop what is idle and past retention, and delete versions where there are too many."""
        known = request.lineage or await self._lineage(request.algorithm)
        if known is None:
            return Retired()
        what = await self._plan(known, request)
        # Each waits for its workers to end, and the release waits for all of them.
        stopping = (asyncio.to_thread(self._runtime.stop, request.algorithm, build) for build in what.stop)
        await asyncio.gather(*stopping)
        deleted = {build_id: await self._delete(request, build_id) for build_id in what.delete}
        return Retired(
            stopped=what.stop,
            deleted=tuple(build_id for build_id, done in deleted.items() if done),
            later=tuple(build_id for build_id, done in deleted.items() if not done),
            busy=what.busy,
        )

    async def _lineage(self, algorithm: str) -> Lineage | None:
        seen = await self._deployments.describe(algorithm)
        return await read_lineage(self._deployments, seen) if seen else None

    async def _plan(self, known: Lineage, request: RetireRequest) -> Retirement:
        name, batch = queues_of(request.algorithm)
        local = await asyncio.to_thread(self._runtime.workers, name)
        routed = [await self._deployments.routed(queue) for queue in (name, batch)]
        calls = await pending_calls(self._client, name)
        live, for_batch = [await self._live(deployment) for deployment in (name, batch)]
        return plan(
            known,
            request,
            routed=frozenset().union(*routed),
            at_work=at_work((*live, *for_batch), calls),
            started_here=frozenset(worker.build_id for worker in local if worker.alive),
            alive=frozenset(worker.build_id for worker in live),
        )

    async def _live(self, deployment: str) -> tuple[Worker, ...]:
        return await self._deployments.live(lambda: self._deployments.workers(deployment))

    async def _delete(self, request: RetireRequest, build_id: str) -> bool:
        """Whether the server let it be deleted: it does not at once; see `delete_version`."""
        name = request.algorithm
        try:
            if await self._deployments.details(batch_of(name), build_id):
                await self._deployments.delete_version(batch_of(name), build_id)
            await self._deployments.delete_version(name, build_id)
        except TemporalRefused:
            return False
        return True
