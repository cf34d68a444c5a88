"""`conduit rollback`: calls go to an earlier build again, whatever release is running."""

import asyncio

from pipeline.commands.session import NOT_PROPAGATED, Session, about, deployment
from pipeline.deployments import Deployments
from pipeline.errors import NoLiveWorker, NothingToRollBackTo
from pipeline.models import Build, Value, algorithm_name
from pipeline.rollout.host import roll_back
from pipeline.rollout.messages import RollBackRequest
from pipeline.rollout.policy import roll_back_target
from pipeline.runtimes import Runtime

START_TIMEOUT = 300.0
"""Seconds that a build's workers get when they have to be started again."""


class RolledBack(Value):
    """Where calls go now."""

    algorithm: str
    build_id: str
    quarantined: str
    propagated: bool

    def lines(self) -> list[str]:
        """The closing lines for people."""
        return [
            f"{self.algorithm}: build {self.build_id} is live again; {self.quarantined} is quarantined.",
            *([] if self.propagated else [NOT_PROPAGATED]),
            f"  undo: conduit rollback {self.algorithm} --to {self.quarantined}",
        ]


async def rollback(session: Session, algorithm: str, to: str | None, reason: str) -> RolledBack:
    """Roll back to the build that was Current before, or to the one named.

    Raises:
        UnknownAlgorithm, UnknownBuild, NothingToRollBackTo: there is nothing to go back to.
        NoLiveWorker: that build has no workers and they cannot be started here.
    """
    client = await session.connect()
    deployments = Deployments(client)
    seen = await deployment(deployments, _checked(algorithm))
    builds = [v.build_id for v in seen.versions if v.was_current or v.build_id == to]
    known = dict(
        zip(builds, await asyncio.gather(*(about(deployments, algorithm, b) for b in builds)), strict=True)
    )
    target, bad = roll_back_target(seen, to, lambda b: known[b].quarantine is not None)
    entry = known.get(target) or await about(deployments, algorithm, target)
    runtime = session.runtime("process")
    record = _record(runtime, algorithm, target, entry.registered.build if entry.registered else None)
    request = RollBackRequest(
        target=record,
        bad=bad,
        replicas=_replicas(runtime, algorithm, bad),
        start_timeout=START_TIMEOUT,
        by=session.by,
        reason=reason,
        run_url=session.run_url,
    )
    routed = await roll_back(client, request, runtime, session.report.on_step)
    return RolledBack(algorithm=algorithm, build_id=target, quarantined=bad, propagated=routed.propagated)


def _checked(algorithm: str) -> str:
    try:
        return algorithm_name(algorithm)
    except ValueError as error:
        raise NothingToRollBackTo(
            "That cannot be an algorithm's name.", why=str(error), now="See `conduit status`."
        ) from None


def _record(runtime: Runtime, algorithm: str, build_id: str, known: Build | None) -> Build:
    record = runtime.build(algorithm, build_id) or known
    if record is None:
        raise NoLiveWorker(
            f"Build {build_id} cannot be rolled back to from here.",
            why="Neither this machine nor the version's metadata has its build record.",
            now="Run the roll-back where the build was delivered, or deliver its commit anew.",
        )
    return record


def _replicas(runtime: Runtime, algorithm: str, current: str) -> int:
    """As many workers as the present build has."""
    alive = [w for w in runtime.workers(algorithm) if w.build_id == current and w.alive]
    return max(1, len(alive))
