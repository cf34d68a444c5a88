"""`[tool.conduit.gates]`: what a build has to pass before it gets a production call."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StringConstraints

from pipeline.options.image import PathInside
from pipeline.options.names import Hook
from pipeline.options.table import Duration, Table

ApprovalDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
Share = Annotated[float, Field(ge=0, le=1)]
ActivityName = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class ReplayOptions(Table):
    """How calls that production made are tried again on a candidate."""

    calls: StrictInt = Field(
        default=50,
        ge=0,
        le=500,
        description="Latest calls of each activity that are tried again; 0 for none.",
    )
    tolerance: StrictFloat = Field(
        default=0.0, ge=0, description="By how much two numbers of an output may differ."
    )
    compare: Hook | None = Field(
        default=None,
        description="`module:function` that gets a recorded and a new output, and returns whether they agree.",
    )
    max_failures: Share = Field(
        default=0.0, description="Share of calls that may fail; each gets a second attempt."
    )
    max_differences: Share | None = Field(
        default=None,
        description="Share of outputs that may differ. Default: differences are told and stop nothing.",
    )
    show_values: StrictBool = Field(
        default=False,
        description="Whether a report may show values of production; never where a codec is set.",
    )


class GateOptions(Table):
    """What a build has to pass before it gets a production call."""

    approve_breaking: tuple[ApprovalDigest, ...] = Field(
        default=(),
        description="Breaking changes of the contract that may go live, by what `conduit contract diff` prints.",
    )
    examples: PathInside = Field(
        default="examples", description="Folder of JSON files that the smoke gate calls the build with."
    )
    side_effects: tuple[ActivityName, ...] = Field(
        default=(), description="Activities that are not called again with what production sent."
    )
    at_once: StrictInt = Field(default=4, ge=1, le=100, description="Calls that are tried at the same time.")
    call_timeout: Duration = Field(
        default=timedelta(minutes=1), gt=timedelta(0), description="What one call gets that is tried."
    )
    timeout: Duration = Field(
        default=timedelta(minutes=5), gt=timedelta(0), description="What all gates together get."
    )
    replay: ReplayOptions = Field(default=ReplayOptions(), description="Of calls that production made.")
