"""`conduit release`: the second half of the route, from a build record that somebody else may have written."""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from temporalio.client import Client

from pipeline import connection, git
from pipeline.build import record
from pipeline.build.wishes import ImageWishes
from pipeline.commands.session import NOT_PROPAGATED, Session, about
from pipeline.commands.showing import Story, shown
from pipeline.deployments import Deployment, Deployments
from pipeline.errors import ConduitError, Quarantined, RecordRefused, RoutingChanged, RuntimeUnavailable
from pipeline.models import Build, Commit, Environment, Image, Sha, Value, is_placeholder
from pipeline.options.gates import ApprovalDigest
from pipeline.placeholders.permission import refuse_unasked
from pipeline.project import Project, at_commit
from pipeline.rollout import controller, host, policy
from pipeline.rollout.messages import ReleaseRequest
from pipeline.rollout.page import step_line
from pipeline.rollout.plan import Judged
from pipeline.runtimes import OF_ARTIFACT, Runtime

IGNORED = "the env file that the configuration names; CONDUIT_ENV_FILE names one of this machine"
ATTEMPTS = 3
"""How often another build may become Current just as a release begins."""


class Wishes(Value):
    """What the person asks for beyond the configuration."""

    runtime: str | None = None
    image: ImageWishes = ImageWishes()
    skip_tests: bool = False
    force: bool = False
    approve: tuple[ApprovalDigest, ...] = ()
    """Breaking changes of the contract that may go live."""
    reason: str = ""
    in_production: str | None = None
    """The namespace in which a placeholder may answer although it is production."""
    detach: bool = False
    """Leave the release to this machine's controller."""


class Expected(Value):
    """What the caller knows of the build, from a better source than the record; null where it does not."""

    project: Path | None = None
    """A clone of the research repo: its commit and configuration are believed, and it knows which is newer."""
    algorithm: str | None = None
    sha: Sha | None = None
    newest: Sha | None = None
    """The commit that the branch has now."""
    image: ImageWishes = ImageWishes()
    """Where the image has to be."""


class Delivered(Value):
    """What is live now."""

    decision: Literal["promoted", "unchanged", "superseded", "begun"]
    algorithm: str
    build_id: str
    commit: str
    previous: str | None = None
    propagated: bool = True
    judged: tuple[Judged, ...] = ()

    def lines(self) -> list[str]:
        """The closing lines for people."""
        if self.decision == "superseded":
            return [f"{self.algorithm}: build {self.build_id} is not released; a newer commit was pushed."]
        if self.decision == "begun":
            return [
                f"{self.algorithm}: the release of build {self.build_id} has begun; the controller goes on with it.",
                f"  look: conduit status {self.algorithm}",
            ]
        if self.decision == "unchanged":
            return [f"{self.algorithm}: build {self.build_id} is live already; nothing to do."]
        undo = f"  undo: conduit rollback {self.algorithm}" if self.previous else ""
        told = [] if self.propagated else [NOT_PROPAGATED]
        steps = [f"  {step_line(judged)}" for judged in self.judged]
        return [
            f"{self.algorithm}: build {self.build_id} is live.",
            *steps,
            *told,
            *([undo] if undo else []),
        ]


async def release(session: Session, file: Path, expected: Expected, wishes: Wishes) -> Delivered:
    """Release the build of a record.

    Raises:
        RecordRefused: the record is not one, or not the expected one.
        ConduitError: what stopped the release; the routing is as it was.
    """
    with shown(session) as story:
        project = at_commit(expected.project, expected.sha or "HEAD") if expected.project else None
        build = _read(session, file, expected, project)
        story.about(build.algorithm, build.commit)
        story.build = build
        # A job may have waited for approval, or be run again, long after anybody asked for the newest commit.
        left = not wishes.force and story.pages.has_left_its_branch(build.commit.sha)
        if left or policy.is_overtaken(build.commit.sha, expected.newest):
            return done(story, build, "superseded")
        return await release_build(story, await session.connect(), build, ancestry(project), wishes)


def _read(session: Session, file: Path, expected: Expected, project: Project | None) -> Build:
    build = record.read_record(file)
    if project and isinstance(build.artifact, Image):
        build = _as_configured(build, project)
    algorithm = expected.algorithm or (project.config.algorithm if project else None)
    sha = expected.sha or (project.commit.sha if project else None)
    image = expected.image
    place = image.place(build.algorithm) if image.registry or image.repository else None
    record.check(build, algorithm=algorithm, sha=sha, repository=place)
    if isinstance(build.artifact, Environment):
        # It names a program to be run here: only what this machine built is believed.
        if session.runtime("process").build(build.algorithm, build.build_id) != build:
            raise RecordRefused(
                f"Build {build.build_id} cannot be released here.",
                why="Its artifact is an environment that was not built on this machine.",
                now='Release it where it was built, or set runtime = "docker" in [tool.conduit].',
            )
        return build
    if build.workers.docker.env_file is not None:
        session.report.say(f"  not read here: {IGNORED}")
    safe = record.without_env_file(build)
    return safe.model_copy(update={"commit": project.commit}) if project else safe


def _as_configured(build: Build, project: Project) -> Build:
    """The record with the commit's own word on how it is started, gated and judged."""
    config = project.config
    return build.model_copy(
        update={"workers": project.workers, "gates": config.gates, "release": config.release}
    )


def ancestry(project: Project | None) -> policy.Ancestry:
    """Which of two commits was built upon the other, as far as there is a clone that knows both."""
    if project is None:
        return lambda older, newer: None
    return lambda older, newer: git.is_ancestor(project.repository, older, newer)


async def release_build(
    story: Story, client: Client, build: Build, order: policy.Ancestry, wishes: Wishes
) -> Delivered:
    """Take a build from start to promotion; the steps are shown as they go."""
    refuse_passing_machine(story.session.environment, OF_ARTIFACT[build.artifact.kind])
    deployments = Deployments(client)
    story.releasing(build)
    try:
        for attempt in range(ATTEMPTS):
            try:
                return await _release(story, client, build, order, wishes)
            except RoutingChanged:
                if attempt + 1 == ATTEMPTS:
                    raise  # else it is compared anew with what is Current now
        raise AssertionError("attempts end")
    finally:
        await see_what_is_live(story, deployments, build)


def refuse_passing_machine(environment: Mapping[str, str], runtime: str) -> None:
    """Refuse workers on a machine that GitHub takes away when the job ends: calls would then wait for ever.

    Raises:
        RuntimeUnavailable: they would be on one, and the Temporal server is not.
    """
    elsewhere = runtime == "docker" and environment.get("DOCKER_HOST")
    if (
        environment.get("RUNNER_ENVIRONMENT") != "github-hosted"
        or elsewhere
        or connection.is_local(environment)
    ):
        return
    raise RuntimeUnavailable(
        "The workers have no machine to stay on.",
        why="This runner is GitHub's, which takes it away when the job ends, and the workers with it.",
        now="Set DOCKER_HOST to the Docker Engine that shall run them, or the input `release-runner` to a runner of "
        "your own.",
    )


async def _release(
    story: Story, client: Client, build: Build, order: policy.Ancestry, wishes: Wishes
) -> Delivered:
    session = story.session
    deployments, runtime = Deployments(client), session.runtime(OF_ARTIFACT[build.artifact.kind])
    seen = await deployments.describe(build.algorithm)
    if seen is not None and is_live(seen, build, runtime) and not await host.running(client, build.algorithm):
        return done(story, build, "unchanged")
    if is_placeholder(build.build_id):
        refuse_placeholder(session, client, seen, wishes)
    try:
        await _refuse(deployments, seen, build, order, wishes)
    except Quarantined:
        await host.end_cut_off(client, build, runtime)
        raise
    request = ReleaseRequest(
        build=build,
        replicas=build.workers.replicas,
        start_timeout=build.workers.start_timeout,
        by=session.by,
        reason=wishes.reason,
        approvals=wishes.approve,
        run_url=session.run_url,
        over=(seen.current if seen else None,),
    )
    if wishes.detach:
        await controller.hand_over(client, request, order, session.home)
        return done(story, build, "begun")
    runtime.workers(build.algorithm)  # an engine that is away is told now; in a release it is waited for
    routed = await host.release(client, request, runtime, order, session.report.on_step)
    previous = routed.previous if routed.previous != build.build_id else None
    made = done(story, build, "promoted", previous=previous, propagated=routed.propagated)
    story.figures |= dict(step_line(judged).split(": ", 1) for judged in routed.judged)
    return made.model_copy(update={"judged": routed.judged})


def done(
    story: Story,
    build: Build,
    decision: Literal["promoted", "unchanged", "superseded", "begun"],
    *,
    previous: str | None = None,
    propagated: bool = True,
) -> Delivered:
    """Say on all pages and to the caller what was decided."""
    story.decision, story.previous = decision, previous
    story.undo = f"conduit rollback {build.algorithm}" if previous else ""
    return Delivered(
        decision=decision,
        algorithm=build.algorithm,
        build_id=build.build_id,
        commit=build.commit.sha,
        previous=previous,
        propagated=propagated,
    )


def is_live(seen: Deployment, build: Build, runtime: Runtime) -> bool:
    """Whether this very build is Current, with all its workers alive."""
    if seen.current != build.build_id or seen.ramping:
        return False
    workers = runtime.workers(build.algorithm)
    alive = [worker for worker in workers if worker.alive and worker.build_id == build.build_id]
    return len(alive) >= build.workers.replicas


def refuse_placeholder(session: Session, client: Client, seen: Deployment | None, wishes: Wishes) -> None:
    """Refuse a placeholder in production, unless it is asked for by name.

    Raises:
        PlaceholderRefused: it is not.
    """
    local = connection.is_local(session.environment)
    refuse_unasked(seen, client.namespace, local=local, asked_for=wishes.in_production)


async def _refuse(
    deployments: Deployments,
    seen: Deployment | None,
    build: Build,
    order: policy.Ancestry,
    wishes: Wishes,
) -> None:
    """Refuse a build that may not be released now.

    Raises:
        OlderCommit, Quarantined: why not.
    """
    await refuse_old(deployments, seen, build.commit, order, wishes)
    quarantine = (await about(deployments, build.algorithm, build.build_id)).quarantine
    policy.refuse_quarantined(
        build.build_id,
        quarantine,
        force=wishes.force,
        approvals=(*wishes.approve, *build.gates.approve_breaking),
    )


async def refuse_old(
    deployments: Deployments,
    seen: Deployment | None,
    commit: Commit,
    order: policy.Ancestry,
    wishes: Wishes,
) -> None:
    """Refuse a commit that the live one was built upon.

    Raises:
        OlderCommit: it is older.
    """
    if seen is None or seen.current is None:
        return
    live = (await about(deployments, seen.name, seen.current)).registered
    if live is not None:
        policy.refuse_older(commit, live.build.commit.sha, order, force=wishes.force)


async def see_what_is_live(story: Story, deployments: Deployments, build: Build) -> None:
    """Add to the story what Temporal says now, as far as it answers; for GitHub's pages alone."""
    if story.pages.context is None:
        return
    with contextlib.suppress(ConduitError):
        seen = await deployments.describe(build.algorithm)
        if seen is not None and seen.current is not None:
            story.live = (seen.current, seen.current_since)
        workers = await deployments.live(lambda: deployments.workers(build.algorithm))
        own = [worker for worker in workers if worker.build_id == build.build_id]
        story.figures |= {
            "activities": len(build.contract.activities),
            "workers of the build": len(own),
            "calls that they answered": sum(worker.processed for worker in own),
            "calls that failed on them": sum(worker.failed for worker in own),
            "from commit to now": f"{(datetime.now(UTC) - build.commit.time).total_seconds():.0f} s",
        }
