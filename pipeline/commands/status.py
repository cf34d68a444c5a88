"""`conduit status`: what is live, by what Temporal says of it."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime

from pipeline.commands.control import progress_of
from pipeline.commands.session import About, Session, about, algorithms, deployment
from pipeline.deployments import Deployment, Deployments, Status, Version, Worker
from pipeline.models import Value
from pipeline.rollout.host import running
from pipeline.rollout.messages import Progress
from pipeline.worker.settings import batch_of

MOST = 20
"""How many builds are shown, the newest first; each costs a request, and the server counts them."""


class Live(Value):
    """The build that calls go to."""

    build_id: str
    commit: str | None
    author: str | None
    since: datetime | None


class Ramp(Value):
    """The build that a share of the workflows goes to."""

    build_id: str
    percentage: float


class BuildStatus(Value):
    """One build; the counters are those of its live workers."""

    build_id: str
    commit: str | None
    author: str | None
    subject: str | None
    status: Status
    quarantined: str | None
    workers: int
    processed: int
    failed: int


class AlgorithmStatus(Value):
    """One algorithm."""

    algorithm: str
    current: Live | None
    ramping: Ramp | None
    propagated: bool
    builds: tuple[BuildStatus, ...]
    batch: Live | None = None
    """The build that calls on the batch queue go to; none where there is no such queue."""
    release: Progress | None = None
    """The release that is running, if one is."""


async def status(session: Session, algorithm: str) -> AlgorithmStatus:
    """Read an algorithm's status.

    Raises:
        UnknownAlgorithm: Temporal has no such deployment.
    """
    client = await session.connect()
    deployments = Deployments(client)
    seen = await deployment(deployments, algorithm)
    release = await running(client, algorithm)
    shown = _shown(seen)
    entries = await asyncio.gather(*(about(deployments, algorithm, v.build_id) for v in shown))
    batch = await deployments.describe(batch_of(algorithm))
    live = await deployments.live(lambda: deployments.workers(algorithm))
    for_batch = await deployments.workers(batch.name) if batch else ()
    found = summarise(seen, dict(zip((v.build_id for v in shown), entries, strict=True)), live, for_batch)
    found = await _settled(deployments, found)
    return found.model_copy(
        update={
            "batch": _live(batch, found.builds) if batch else None,
            "release": await progress_of(release) if release else None,
        }
    )


async def overview(session: Session) -> tuple[AlgorithmStatus, ...]:
    """What is live of each algorithm that Temporal knows, without its builds."""
    deployments = Deployments(await session.connect())
    names = algorithms(await deployments.names())
    seen = await asyncio.gather(*(deployments.describe(name) for name in names))
    return tuple(
        await asyncio.gather(*(_settled(deployments, summarise(each, {}, ())) for each in seen if each))
    )


async def _settled(deployments: Deployments, found: AlgorithmStatus) -> AlgorithmStatus:
    """Ask the queues themselves: the server may call a change in progress minutes after they all know it."""
    if found.propagated or found.current is None or found.ramping is not None:
        return found
    known = await deployments.queues_know(found.algorithm, found.current.build_id)
    return found.model_copy(update={"propagated": known})


def _shown(seen: Deployment) -> list[Version]:
    newest = sorted(seen.versions, key=lambda v: v.created.timestamp() if v.created else 0.0, reverse=True)
    routed = [v for v in newest if v.build_id in (seen.current, seen.ramping)]
    return newest[:MOST] + [v for v in routed if v not in newest[:MOST]]


def summarise(
    seen: Deployment,
    entries: Mapping[str, About],
    workers: tuple[Worker, ...],
    for_batch: tuple[Worker, ...] = (),
) -> AlgorithmStatus:
    """Put together what the server said. Pure."""
    builds = tuple(
        _build(version, entries[version.build_id], workers, for_batch)
        for version in seen.versions
        if version.build_id in entries
    )
    return AlgorithmStatus(
        algorithm=seen.name,
        current=_live(seen, builds),
        ramping=Ramp(build_id=seen.ramping, percentage=seen.ramp_percentage) if seen.ramping else None,
        propagated=seen.propagated,
        builds=builds,
    )


def _live(routing: Deployment, builds: Iterable[BuildStatus]) -> Live | None:
    """The build that is Current in a deployment; the one for batch calls may be another, older one."""
    its = next((build for build in builds if build.build_id == routing.current), None)
    if routing.current is None:
        return None
    return Live(
        build_id=routing.current,
        commit=its.commit if its else None,
        author=its.author if its else None,
        since=routing.current_since,
    )


def _build(
    version: Version, entry: About, workers: Iterable[Worker], for_batch: Iterable[Worker]
) -> BuildStatus:
    """One build; a process that takes batch calls too is one worker."""
    its = [worker for worker in workers if worker.build_id == version.build_id]
    both = [*its, *(worker for worker in for_batch if worker.build_id == version.build_id)]
    registered, quarantine = entry.registered, entry.quarantine
    commit = registered.build.commit if registered else None
    return BuildStatus(
        build_id=version.build_id,
        commit=commit.sha if commit else None,
        author=commit.author if commit else None,
        subject=commit.subject if commit else None,
        status=version.status,
        quarantined=(quarantine.reason or "no reason given") if quarantine else None,
        workers=len(its),
        processed=sum(worker.processed for worker in both),
        failed=sum(worker.failed for worker in both),
    )
