"""`conduit deliver`: the whole route for one commit; `conduit build` and `conduit verify`: the first parts of it."""

from pathlib import Path
from typing import Literal

from temporalio.client import Client

from pipeline import git, verify
from pipeline.build import local
from pipeline.commands.session import NOT_PROPAGATED, Session, about
from pipeline.deployments import Deployments
from pipeline.models import Build, Value
from pipeline.project import Project, at_commit
from pipeline.rollout import policy
from pipeline.rollout.host import release
from pipeline.rollout.messages import ReleaseRequest
from pipeline.worker.contract import Contract


class Wishes(Value):
    """What the person asks for beyond the configuration."""

    skip_tests: bool = False
    force: bool = False
    reason: str = ""


class Delivered(Value):
    """What is live now."""

    decision: Literal["promoted", "unchanged"]
    algorithm: str
    build_id: str
    commit: str
    previous: str | None
    propagated: bool = True

    def lines(self) -> list[str]:
        """The closing lines for people."""
        if self.decision == "unchanged":
            return [f"{self.algorithm}: build {self.build_id} is live already; nothing to do."]
        undo = f"  undo: conduit rollback {self.algorithm}" if self.previous else ""
        told = [] if self.propagated else [NOT_PROPAGATED]
        return [f"{self.algorithm}: build {self.build_id} is live.", *told, *([undo] if undo else [])]


class Verified(Value):
    """What `conduit verify` found."""

    algorithm: str
    commit: str
    tests: str
    contract: Contract


def verify_commit(session: Session, folder: Path, revision: str | None) -> Verified:
    """Run the repo's own tests on a commit and read its contract."""
    project = at_commit(folder, revision)
    tests = _tests(session, project)
    with (
        session.report.step("contract"),
        local.staged(project, session.home, session.environment) as stage,
    ):
        contract = local.read_contract(project, stage, session.environment)
    return Verified(
        algorithm=project.config.algorithm, commit=project.commit.sha, tests=tests, contract=contract
    )


def _tests(session: Session, project: Project) -> str:
    with session.report.step("verify") as detail:
        found = verify.run_tests(project, session.home, session.environment).tests
        detail.append(found)
    return found


def build_commit(session: Session, folder: Path, revision: str | None) -> Build:
    """Build a commit, or find the build that it has."""
    return _build(session, at_commit(folder, revision))


def _build(session: Session, project: Project) -> Build:
    with session.report.step("build") as detail:
        build = local.build(project, session.home, session.environment)
        detail.append(build.build_id)
    return build


async def deliver(session: Session, folder: Path, revision: str | None, wishes: Wishes) -> Delivered:
    """Verify, build and release a commit.

    Raises:
        ConduitError: what stopped it; the routing is as it was.
    """
    project = at_commit(folder, revision)
    client = await session.connect()
    unchanged = await _already_live(session, client, project)
    if unchanged is not None:
        return unchanged
    await _refuse_old(client, project, wishes)
    session.report.say(f"{project.config.algorithm} at {project.commit.short}")
    if not wishes.skip_tests:
        _tests(session, project)
    build = _build(session, project)
    return await _release(session, client, project, build, wishes)


async def _already_live(session: Session, client: Client, project: Project) -> Delivered | None:
    """Whether this very build is Current, with all its workers alive."""
    found = local.find(project, session.home)
    algorithm = project.config.algorithm
    seen = await Deployments(client).describe(algorithm) if found else None
    if found is None or seen is None or seen.current != found.build_id or seen.ramping:
        return None
    workers = session.runtime(project.config.runtime).workers(algorithm)
    alive = [worker for worker in workers if worker.alive and worker.build_id == found.build_id]
    if len(alive) < project.config.replicas:
        return None
    return Delivered(
        decision="unchanged",
        algorithm=algorithm,
        build_id=found.build_id,
        commit=project.commit.sha,
        previous=None,
    )


async def _refuse_old(client: Client, project: Project, wishes: Wishes) -> None:
    deployments = Deployments(client)
    algorithm = project.config.algorithm
    seen = await deployments.describe(algorithm)
    if seen is None or seen.current is None:
        return
    live = (await about(deployments, algorithm, seen.current)).registered
    if live is not None:
        policy.refuse_older(project.commit, live.build.commit.sha, _ancestry(project), force=wishes.force)


def _ancestry(project: Project) -> policy.Ancestry:
    return lambda older, newer: git.is_ancestor(project.repository, older, newer)


async def _release(
    session: Session, client: Client, project: Project, build: Build, wishes: Wishes
) -> Delivered:
    quarantine = (await about(Deployments(client), build.algorithm, build.build_id)).quarantine
    policy.refuse_quarantined(build.build_id, quarantine, force=wishes.force)
    request = ReleaseRequest(
        build=build,
        replicas=project.config.replicas,
        start_timeout=project.config.start_timeout.total_seconds(),
        by=session.by,
        reason=wishes.reason,
        run_url=session.run_url,
    )
    runtime = session.runtime(project.config.runtime)
    routed = await release(client, request, runtime, _ancestry(project), session.report.on_step)
    return Delivered(
        decision="promoted",
        algorithm=build.algorithm,
        build_id=build.build_id,
        commit=build.commit.sha,
        previous=routed.previous if routed.previous != build.build_id else None,
        propagated=routed.propagated,
    )
