"""What a release did, as a value: filled while it runs, shown as a job summary, a check run or JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from pipeline.errors import ConduitError
from pipeline.models import AlgorithmName, BuildId, Commit, Value

StepStatus = Literal["ok", "failed", "skipped", "running"]
Decision = Literal[
    "promoted", "unchanged", "verified", "built", "held", "begun", "superseded", "rolled-back", "failed"
]


class StepResult(Value):
    """One step of the route."""

    name: str = Field(max_length=100)
    status: StepStatus
    seconds: float | None = Field(default=None, ge=0)
    detail: str = ""


class Failure(Value):
    """The three sentences of a `ConduitError`, and the log that shows it."""

    what: str
    why: str = ""
    now: str = ""
    log: str = ""

    @classmethod
    def of(cls, error: ConduitError) -> Self:
        """Take the sentences of an error."""
        return cls(**error.fields())


class ReleaseReport(Value):
    """All that people are told of one release."""

    algorithm: AlgorithmName | None = Field(description="null where its configuration could not be read")
    decision: Decision
    build_id: BuildId | None = Field(default=None, description="the build that this release is about")
    commit: Commit | None = None
    live_build_id: BuildId | None = Field(default=None, description="what Temporal routes calls to now")
    live_since: datetime | None = None
    previous_build_id: BuildId | None = Field(default=None, description="what was live before")
    steps: tuple[StepResult, ...] = ()
    figures: Mapping[str, str | int | float] = Field(default_factory=dict)
    undo: str = Field(default="", description="the command that takes this release back")
    ui_url: str = Field(default="", description="the algorithm in Temporal's UI")
    failure: Failure | None = None
    left_out: tuple[str, ...] = Field(default=(), description="what could not be done or shown, and why")
