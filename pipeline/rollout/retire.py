"""Which builds' workers are stopped and which versions deleted: a pure plan, and the activity that follows it."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from temporalio import activity
from temporalio.client import Client

from pipeline.deployments import Deployment, Deployments, Version, Worker
from pipeline.errors import TemporalRefused
from pipeline.models import Value
from pipeline.rollout.messages import QUARANTINE_ENTRY, Retired, RetireRequest
from pipeline.rollout.pending import PendingCall, pending_calls
from pipeline.rollout.policy import earlier
from pipeline.runtimes import Runtime
from pipeline.worker.settings import batch_of


class Retirement(Value):
    """What is to be done."""

    stop: tuple[str, ...]
    delete: tuple[str, ...]
    busy: tuple[str, ...]


def plan(
    seen: Deployment,
    request: RetireRequest,
    *,
    quarantined: frozenset[str],
    at_work: frozenset[str],
    for_batch: str | None = None,
    started_here: frozenset[str],
    alive: frozenset[str],
) -> Retirement:
    """Choose what to stop and what to delete.

    Args:
        seen: the deployment.
        request: how many good builds, and how many versions, are kept.
        quarantined: builds that were found bad.
        at_work: builds that have a call now.
        for_batch: the build that batch calls go to.
        started_here: builds with workers that this machine could stop.
        alive: builds with live workers anywhere.
    """
    good = [build_id for build_id in earlier(seen) if build_id not in quarantined]
    kept = {seen.current, seen.ramping, for_batch, *request.spare, *good[: request.keep]}
    past = started_here - kept
    stop = past - at_work
    stays = kept | ((alive | past) - stop)
    surplus = max(0, len(seen.versions) - request.records)
    oldest = sorted((v for v in seen.versions if v.build_id not in stays), key=_age)
    return Retirement(
        stop=tuple(sorted(stop)),
        delete=tuple(version.build_id for version in oldest[:surplus]),
        busy=tuple(sorted(past & at_work)),
    )


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
        seen = await self._deployments.describe(request.algorithm)
        if seen is None:
            return Retired()
        what = await self._plan(seen, request)
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

    async def _plan(self, seen: Deployment, request: RetireRequest) -> Retirement:
        name = request.algorithm
        local = await asyncio.to_thread(self._runtime.workers, name)
        calls = await pending_calls(self._client, name)
        batch = await self._deployments.describe(batch_of(name))
        live = await self._live(name)
        working = live if batch is None else (*live, *await self._live(batch.name))
        return plan(
            seen,
            request,
            quarantined=await self._quarantined(seen),
            at_work=at_work(working, calls),
            for_batch=batch.current if batch else None,
            started_here=frozenset(worker.build_id for worker in local if worker.alive),
            alive=frozenset(worker.build_id for worker in live),
        )

    async def _live(self, deployment: str) -> tuple[Worker, ...]:
        return await self._deployments.live(lambda: self._deployments.workers(deployment))

    async def _quarantined(self, seen: Deployment) -> frozenset[str]:
        builds = [version.build_id for version in seen.versions if version.was_current]
        details = await asyncio.gather(*(self._deployments.details(seen.name, build) for build in builds))
        metadata: Mapping[str, Mapping[str, bytes]] = {d.build_id: d.metadata for d in details if d}
        return frozenset(build for build, entries in metadata.items() if QUARANTINE_ENTRY in entries)

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
