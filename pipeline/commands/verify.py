"""`conduit verify`: a commit's own tests, in an environment of its own, and its contract."""

from pathlib import Path

from pipeline import verify
from pipeline.build import local
from pipeline.commands.session import Session
from pipeline.commands.showing import Story, shown
from pipeline.models import Value
from pipeline.project import Project, at_commit
from pipeline.worker.contract import Contract


class Verified(Value):
    """What `conduit verify` found."""

    algorithm: str
    commit: str
    tests: str
    contract: Contract


def verify_commit(session: Session, folder: Path, revision: str | None) -> Verified:
    """Run the repo's own tests on a commit and read its contract."""
    with shown(session) as story:
        project = at_commit(folder, revision)
        tests = run_tests(story, project)
        with (
            session.report.step("contract"),
            local.staged(project, session.home, session.environment) as stage,
        ):
            contract = local.read_contract(project, stage, session.environment)
        story.decision = "verified"
    return Verified(
        algorithm=project.config.algorithm, commit=project.commit.sha, tests=tests, contract=contract
    )


def run_tests(story: Story, project: Project) -> str:
    """The repo's own tests as a step."""
    session = story.session
    story.about(project.config.algorithm, project.commit)
    with session.report.step("verify") as detail:
        found = verify.run_tests(project, session.home, session.environment).tests
        detail.append(found)
    return found
