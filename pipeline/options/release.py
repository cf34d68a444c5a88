"""`[tool.conduit.release]`: how a build is let at production calls, and how it is judged there."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, StrictFloat, StrictInt

from pipeline.options.table import Duration, Table


class RampStep(Table):
    """A share of the workflows, and for how long at least."""

    ramp: StrictFloat = Field(
        gt=0, lt=100, description="Per cent of the workflow IDs that go to the new build."
    )
    for_: Duration = Field(alias="for", description="How long the build is judged there, at least.")


def ramp_step(percent: float, seconds: float) -> RampStep:
    """Make a step without going through TOML."""
    return RampStep.model_validate({"ramp": percent, "for": timedelta(seconds=seconds)})


class OfflineFirst(Table):
    """Batch calls have a queue of their own, and go to a new build before interactive ones do."""

    for_: Duration = Field(
        default=timedelta(minutes=5),
        alias="for",
        description="How long the build is judged at batch calls, at least.",
    )
    slots: StrictFloat = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="Share of a worker's `max-concurrent-activities` that is for batch calls, and for them alone.",
    )

    def of(self, calls: int) -> int:
        """How many of so many calls at once are batch calls: one at least, and never all."""
        return min(max(1, int(calls * self.slots)), calls - 1)


class ReleaseOptions(Table):
    """The table `[tool.conduit.release]`."""

    steps: tuple[RampStep, ...] = Field(
        default=(ramp_step(10, 30), ramp_step(50, 30)),
        max_length=20,
        description="The ramp. A first build has none, nor has an algorithm that nobody calls.",
    )
    min_calls: StrictInt = Field(
        default=20, ge=1, description="Calls that a step needs to pass; with fewer it is inconclusive."
    )
    max_failure_rate: StrictFloat = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="Share of failed attempts that is borne, unless Current has more.",
    )
    max_slowdown: StrictFloat = Field(
        default=5.0,
        gt=1,
        description="How many times as long as Current's its calls may take, by the middle call of each activity.",
    )
    offline_first: OfflineFirst | None = Field(
        default=None,
        description="Gives the algorithm a batch queue, `ALGORITHM/batch`, and a new build its calls first.",
    )
    watch: Duration = Field(
        default=timedelta(minutes=1), description="How long the build is judged after it became Current."
    )
    on_inconclusive: Literal["hold", "go-on"] = Field(
        default="go-on",
        description="What becomes of a step with too few calls when `inconclusive-limit` is over.",
    )
    inconclusive_limit: Duration = Field(
        default=timedelta(seconds=30), description="How long a step waits for more calls, after its time."
    )
    hold_limit: Duration = Field(
        default=timedelta(days=1), description="How long a held or paused release waits for a person."
    )
    heal_limit: Duration = Field(
        default=timedelta(seconds=30),
        description="How long a roll-back waits for the calls that failed on the bad build to complete.",
    )
    keep: StrictInt = Field(
        default=2, ge=1, le=50, description="Earlier good builds whose workers are kept for a roll-back."
    )
    records: StrictInt = Field(
        default=50,
        ge=2,
        le=1000,
        description="Versions that are kept at Temporal for what they tell; the oldest beyond it are deleted. "
        "A server takes 100.",
    )
