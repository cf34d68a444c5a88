"""`conduit attested`: whether a signature says where the image of a build record was built."""

from pathlib import Path

from pipeline.build.record import read_record
from pipeline.commands.session import Session
from pipeline.commands.showing import shown
from pipeline.errors import ConduitError, GitHubContextInvalid
from pipeline.github import attestation
from pipeline.github.context import read_context
from pipeline.models import Value


class Attested(Value):
    """What is signed."""

    image: str
    workflow: str
    commit: str

    def lines(self) -> list[str]:
        """The closing lines for people."""
        return [f"{self.image}: built by {self.workflow} of {self.commit[:12]}, as its signature says."]


def attested(session: Session, file: Path, workflow: str) -> Attested:
    """Verify the signature of a record's image.

    Raises:
        RecordRefused: the record is not one.
        NotAttested: no signature says so.
        ToolMissing: the program that verifies it is not here.
        GitHubContextInvalid: this is no job of GitHub Actions.
    """
    try:
        return _attested(session, file, workflow)
    except ConduitError:
        with shown(session):  # a success is no news; the release that follows tells it all
            raise


def _attested(session: Session, file: Path, workflow: str) -> Attested:
    job = read_context(session.environment)
    if job is None:
        raise GitHubContextInvalid(
            "A signature can be verified in a job of GitHub Actions only.",
            why="It is compared with the repository and the commit that the job is about.",
        )
    image = attestation.image_of(read_record(file).artifact)
    claim = attestation.Claim(image=image, repository=job.repository, workflow=workflow, sha=job.sha)
    attestation.verify(claim, session.environment)
    return Attested(image=image, workflow=workflow, commit=job.sha)
