"""`conduit deliver`: the whole route for one commit."""

from pathlib import Path

from temporalio.client import Client

from pipeline.build import local
from pipeline.commands.build import run_build
from pipeline.commands.release import (
    Delivered,
    Wishes,
    ancestry,
    done,
    is_live,
    refuse_old,
    release_build,
)
from pipeline.commands.session import Session
from pipeline.commands.showing import Story, shown
from pipeline.commands.verify import run_tests
from pipeline.deployments import Deployments
from pipeline.project import Project, at_commit
from pipeline.rollout.host import running


async def deliver(session: Session, folder: Path, revision: str | None, wishes: Wishes) -> Delivered:
    """Verify, build and release a commit.

    Raises:
        ConduitError: what stopped it; the routing is as it was.
    """
    with shown(session) as story:
        project = at_commit(folder, revision, wishes.runtime)
        story.about(project.config.algorithm, project.commit)
        client = await session.connect()
        return await _unchanged(story, client, project) or await _route(story, client, project, wishes)


async def _unchanged(story: Story, client: Client, project: Project) -> Delivered | None:
    """Whether this commit is live already, as far as that can be known without building it."""
    session = story.session
    found = local.find(project, session.home) if project.config.runtime == "process" else None
    seen = await Deployments(client).describe(project.config.algorithm) if found else None
    if found is None or seen is None or not is_live(seen, found, session.runtime(project.config.runtime)):
        return None
    if await running(client, found.algorithm):
        return None  # its watch may have lost its host
    story.build = found
    return done(story, found, "unchanged")


async def _route(story: Story, client: Client, project: Project, wishes: Wishes) -> Delivered:
    session, order = story.session, ancestry(project)
    deployments = Deployments(client)
    seen = await deployments.describe(project.config.algorithm)
    await refuse_old(deployments, seen, project.commit, order, wishes)
    session.report.say(f"{project.config.algorithm} at {project.commit.short}")
    if not wishes.skip_tests:
        run_tests(story, project)
    build = run_build(story, project, wishes.image)
    return await release_build(story, client, build, order, wishes)
