"""`conduit verify`: a commit's own tests, in an environment of its own, and its contract."""

from pathlib import Path

from pipeline import verify
from pipeline.build import local
from pipeline.build.examples import read_examples
from pipeline.commands.build import tell_left_out
from pipeline.commands.session import Session
from pipeline.commands.showing import Story, shown
from pipeline.contract.compare import compare, render
from pipeline.errors import ConduitError
from pipeline.models import AlgorithmName, Sha, Value
from pipeline.project import Project, at_commit
from pipeline.worker.contract import Contract


class Verified(Value):
    """What `conduit verify` found."""

    algorithm: AlgorithmName
    commit: Sha
    tests: str
    contract: Contract
    against: Contract | None = None
    """The contract of the commit that it was compared with, if that has one."""

    def lines(self) -> list[str]:
        """The closing lines for people."""
        activities = ", ".join(activity.name for activity in self.contract.activities)
        changes = render(compare(self.against, self.contract)) if self.against else []
        return [
            f"{self.algorithm}: {self.tests}",
            f"  activities: {activities}",
            *(f"  {c}" for c in changes),
        ]


def verify_commit(
    session: Session, folder: Path, revision: str | None, against: str | None = None
) -> Verified:
    """Run the repo's own tests on a commit and read its contract.

    Args:
        session: the command's.
        folder: of the algorithm.
        revision: the commit; None for HEAD.
        against: the commit whose contract is read too, so that what changed for callers can be told.
    """
    with shown(session) as story:
        project = at_commit(folder, revision)
        tell_left_out(session, project)
        tests = run_tests(story, project)
        contract = _contract(session, "contract", project, examples=True)
        before = _contract_before(session, folder, against) if against else None
        story.decision = "verified"
    return Verified(
        algorithm=project.config.algorithm,
        commit=project.commit.sha,
        tests=tests,
        contract=contract,
        against=before,
    )


def _contract(session: Session, step: str, project: Project, *, examples: bool = False) -> Contract:
    with session.report.step(step), local.staged(project, session.home, session.environment) as stage:
        contract = local.read_contract(project, stage, session.environment)
        if examples:
            read_examples(stage.project, project.config.gates.examples, contract)
        return contract


def _contract_before(session: Session, folder: Path, revision: str) -> Contract | None:
    """The contract that callers hold; None where that commit has none that could be read."""
    try:
        return _contract(session, f"contract of {revision}"[:60], at_commit(folder, revision))
    except ConduitError as error:
        session.report.say(f"  {revision[:60]} has no contract to compare with: {error.what}")
        return None


def run_tests(story: Story, project: Project) -> str:
    """The repo's own tests as a step."""
    session = story.session
    story.about(project.config.algorithm, project.commit)
    with session.report.step("verify") as detail:
        found = verify.run_tests(project, session.home, session.environment).tests
        detail.append(found)
    return found
