"""`conduit comment`: what a pull request changes for callers, said on it by a job that runs no research code."""

from pathlib import Path

from pydantic import ValidationError

from pipeline.commands.session import Session
from pipeline.commands.verify import Verified
from pipeline.errors import NotVerified
from pipeline.github.contract_comment import comment as markdown
from pipeline.github.pages import Pages
from pipeline.models import AlgorithmName, Value

LARGEST = 8_000_000
"""Bytes of the file; two contracts are far smaller."""


class Commented(Value):
    """What was said, and where it could not be."""

    algorithm: AlgorithmName
    text: str
    left_out: tuple[str, ...]

    def lines(self) -> list[str]:
        """The closing lines for people."""
        return [self.text, *(f"left out: {reason}" for reason in self.left_out)]


def comment(session: Session, file: Path) -> Commented:
    """Say it on the pull request, and in the job's summary.

    Raises:
        NotVerified: the file is not what `conduit verify` wrote.
    """
    verified = _read(file)
    text = markdown(verified.algorithm, verified.against, verified.contract)
    pages = Pages(session.environment)
    pages.comment(f"contract {verified.algorithm}", text)
    pages.say(text)
    return Commented(algorithm=verified.algorithm, text=text, left_out=pages.left_out)


def _read(file: Path) -> Verified:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise _refused(error.strerror or "It cannot be read.") from None
    if len(content) > LARGEST:
        raise _refused(f"It is larger than {LARGEST:,} bytes.")
    try:
        return Verified.model_validate_json(content)
    except ValidationError as error:
        raise _refused(f"It has {error.error_count()} faults as such.") from None


def _refused(why: str) -> NotVerified:
    return NotVerified(
        "The file is not what `conduit verify` wrote.",
        why=why,
        now="Make it with `conduit verify --against REVISION --output FILE`, and give it unchanged.",
    )
