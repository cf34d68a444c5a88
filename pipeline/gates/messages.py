"""What goes into the gates and what comes out of them."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pipeline.models import Build, BuildId, Value

MOST_EXAMPLES = 5
LONGEST = 500
"""Characters of one text of a report; a report goes through Temporal's histories and onto GitHub's pages."""

Gate = Literal["contract", "smoke", "replay", "budget", "state"]
Text = Annotated[str, StringConstraints(max_length=LONGEST)]


class Verdict(StrEnum):
    """How a candidate came through its gates. Inconclusive: what should have decided could not be had."""

    PASS = "pass"  # noqa: S105  # not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class GateRequest(Value):
    """Check a registered build that takes no production calls yet; its options are in the build record."""

    build: Build
    current: BuildId | None = Field(
        description="the build that answers production now, or the placeholder that holds its calls"
    )
    by: str = Field(max_length=200)
    approvals: tuple[str, ...] = Field(
        default=(), description="digests of breaking changes that the person who releases approved"
    )
    reason: str = Field(default="", max_length=1000, description="why they did")


class GateFinding(Value):
    """One thing that a gate found."""

    gate: Gate
    verdict: Verdict = Field(description="what it means for the release; `pass` is a remark")
    activity: str = Field(default="", max_length=1000, description="empty: the build as a whole")
    what: Text
    now: Text = Field(default="", description="what to do about it")
    approval: str = Field(default="", description="what approves it, or did; empty: nothing can")
    examples: tuple[Text, ...] = Field(default=(), max_length=MOST_EXAMPLES)


class GateFigures(Value):
    """What one activity did in a gate; durations in seconds."""

    gate: Gate
    activity: str
    calls: int = 0
    failed: int = 0
    different: int = 0
    p50: float | None = None
    p95: float | None = None


class GateReport(Value):
    """What the gates found."""

    verdict: Verdict
    findings: tuple[GateFinding, ...] = ()
    figures: tuple[GateFigures, ...] = ()
    seconds: float = 0.0
