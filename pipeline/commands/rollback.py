"""`conduit rollback`: calls go to an earlier build again, whatever release is running."""

import asyncio
from pathlib import Path

from temporalio.client import Client, WorkflowExecutionStatus

from pipeline.commands.release import see_what_is_live
from pipeline.commands.session import NOT_PROPAGATED, Session, about, deployment
from pipeline.commands.showing import shown
from pipeline.deployments import Deployment, Deployments
from pipeline.errors import NoLiveWorker
from pipeline.models import Build, Image, Value
from pipeline.project import at_commit
from pipeline.rollout.host import BAD, RUN_URL, WAS_CURRENT, latest, roll_back
from pipeline.rollout.messages import RollBackRequest
from pipeline.rollout.policy import roll_back_target
from pipeline.runtimes import OF_ARTIFACT


class RolledBack(Value):
    """Where calls go now."""

    algorithm: str
    build_id: str
    quarantined: str
    propagated: bool
    batch: str | None = None
    """The build that batch calls go to, where the algorithm has a batch queue."""

    @property
    def undo(self) -> str:
        """The command that takes the roll-back back."""
        return f"conduit rollback {self.algorithm} --to {self.quarantined}"

    def lines(self) -> list[str]:
        """The closing lines for people."""
        return [
            f"{self.algorithm}: build {self.build_id} is live again; {self.quarantined} is quarantined.",
            *([f"  batch calls go to {self.batch}"] if self.batch else []),
            *([] if self.propagated else [NOT_PROPAGATED]),
            f"  undo: {self.undo}",
        ]


def named(project: Path) -> str:
    """The algorithm of a clone, as its newest commit has it."""
    return at_commit(project, "HEAD").config.algorithm


async def rollback(session: Session, algorithm: str, to: str | None, reason: str) -> RolledBack:
    """Roll back to the build that was Current before, or to the one named.

    Raises:
        UnknownAlgorithm, UnknownBuild, NothingToRollBackTo: there is nothing to go back to.
        NoLiveWorker: that build has no workers and they cannot be started here.
    """
    with shown(session) as story:
        client = await session.connect()
        deployments = Deployments(client)
        seen = await deployment(deployments, algorithm)
        under_way = await _under_way(client, algorithm, session.run_url)
        target, bad, known = await _target(deployments, seen, to, under_way)
        again = to is None and bool(under_way.bad)
        record = _record(session, algorithm, target, known)
        story.releasing(record)
        story.rolled_back = bad
        request = RollBackRequest(
            target=record,
            bad=bad,
            was_current=under_way.was_current if again else bad == seen.current,
            also_bad=tuple(build for build in under_way.bad if build not in (bad, target)),
            replicas=record.workers.replicas,
            start_timeout=record.workers.start_timeout,
            by=session.by,
            reason=reason,
            run_url=session.run_url,
        )
        runtime = session.runtime(OF_ARTIFACT[record.artifact.kind])
        try:
            runtime.workers(algorithm)  # an engine that is away is told now; in a roll-back it is waited for
            routed = await roll_back(client, request, runtime, session.report.on_step)
        finally:
            await see_what_is_live(story, deployments, record)
        done = RolledBack(
            algorithm=algorithm,
            build_id=target,
            quarantined=bad,
            propagated=routed.propagated,
            batch=routed.batch,
        )
        story.decision, story.undo = "rolled-back", done.undo
        return done


class _UnderWay(Value):
    """What runs now: a release of a build, or a roll-back to it from a bad one, which the same job may have ended."""

    build_id: str | None = None
    bad: tuple[str, ...] = ()
    """And those of earlier roll-backs that it ended itself."""
    was_current: bool = True


async def _under_way(client: Client, algorithm: str, run_url: str) -> _UnderWay:
    run = await latest(client, algorithm)
    memo = await run.memo() if run else {}
    is_mine = run_url and memo.get(RUN_URL) == run_url
    if run is None or not (is_mine or run.status == WorkflowExecutionStatus.RUNNING):
        return _UnderWay()
    return _UnderWay(
        build_id=memo.get("build_id"),
        bad=tuple(memo.get(BAD, "").split()),
        was_current=memo.get(WAS_CURRENT) != str(False),
    )


async def _target(
    deployments: Deployments, seen: Deployment, to: str | None, under_way: _UnderWay
) -> tuple[str, str, Build | None]:
    """The build to return to, the bad one, and what the target's metadata says of it."""
    builds = [v.build_id for v in seen.versions if v.was_current or v.build_id == to]
    entries = await asyncio.gather(*(about(deployments, seen.name, build) for build in builds))
    known = dict(zip(builds, entries, strict=True))
    if not under_way.bad or to is not None:
        candidate = None if under_way.bad else under_way.build_id
        target, bad = roll_back_target(seen, to, lambda build: known[build].quarantine is not None, candidate)
    else:  # asked for twice, it is the same one: that to the build before would take back the good one
        target, bad = under_way.build_id or "", under_way.bad[0]
    entry = known.get(target) or await about(deployments, seen.name, target)
    return target, bad, entry.registered.build if entry.registered else None


def _record(session: Session, algorithm: str, build_id: str, known: Build | None) -> Build:
    """The build record: this machine's own for an environment, else what the version's metadata says."""
    if known is not None and isinstance(known.artifact, Image):
        return known
    record = session.runtime("process").build(algorithm, build_id) or known
    if record is None:
        raise NoLiveWorker(
            f"Build {build_id} cannot be rolled back to from here.",
            why="Neither this machine nor the version's metadata has its build record.",
            now="Run the roll-back where the build was delivered, or deliver its commit anew.",
        )
    return record
