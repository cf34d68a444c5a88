"""`conduit build`: a commit's artifact, in the registry or on this machine, and its record."""

from pathlib import Path

from pipeline import git
from pipeline.build import local
from pipeline.build.wishes import ImageWishes
from pipeline.commands.session import Session
from pipeline.commands.showing import Story, shown
from pipeline.models import Build, Image
from pipeline.project import Project, at_commit


def build_commit(
    session: Session, folder: Path, revision: str | None, wishes: ImageWishes, runtime: str | None
) -> Build:
    """Build a commit, or find the build that it has.

    Args:
        runtime: in place of the one that the configuration names.
    """
    with shown(session) as story:
        build = run_build(story, at_commit(folder, revision, runtime), wishes)
        story.decision = "built"
    return build


def run_build(story: Story, project: Project, wishes: ImageWishes) -> Build:
    """The build as a step."""
    session = story.session
    story.about(project.config.algorithm, project.commit)
    tell_left_out(session, project)
    with session.report.step("build") as detail:
        build = _build(session, project, wishes)
        detail.append(build.build_id)
        if isinstance(build.artifact, Image):
            detail.append(build.artifact.reference)
    story.build = build
    return build


def tell_left_out(session: Session, project: Project) -> None:
    """Say what a reader of the repo would expect in the build, and a commit does not hold."""
    for path in git.submodules(project.repository, project.commit.sha):
        session.report.say(f"  left out: {path} is a submodule, whose files are in no commit of this repo")


def _build(session: Session, project: Project, wishes: ImageWishes) -> Build:
    if project.config.runtime == "process":
        return local.build(project, session.home, session.environment)
    from pipeline.build import worker_image  # the docker SDK is slow to import

    say = session.report.say
    return worker_image.build(
        project, session.home, session.environment, wishes, lambda line: say(f"    {line}")
    )
