"""What goes into and comes out of a release's workflows and activities; durations in seconds."""

from datetime import datetime
from typing import Literal

from pydantic import Field, field_validator

from pipeline.models import AlgorithmName, Build, BuildId, Value
from pipeline.options.release import ReleaseOptions
from pipeline.rollout.judge import Meter, Tally
from pipeline.rollout.pending import PendingCall
from pipeline.rollout.plan import Fault, Judged, Observe, Stage
from pipeline.rollout.troubled import Troubled
from pipeline.worker.settings import batch_of

QUARANTINE_ENTRY = "conduit.quarantine"
APPROVAL_ENTRY = "conduit.approval"
PROGRESS = "progress"
"""The entry of a release's memo that says where it is."""


def workflow_id(algorithm: str) -> str:
    """The ID of an algorithm's release; that there can be only one of it is the lock."""
    return f"conduit/rollout/{algorithm}"


class Started(Value):
    """Which workers a build should have."""

    build: Build
    replicas: int = Field(ge=1)
    timeout: float = Field(gt=0, description="for import, setup and registration")


class ReleaseRequest(Value):
    """Route an algorithm's calls to a build, as its own record says in `release`."""

    build: Build
    replicas: int = Field(ge=1)
    start_timeout: float = Field(gt=0)
    by: str = Field(max_length=200)
    reason: str = Field(default="", max_length=1000)
    run_url: str = Field(default="", max_length=500)
    approvals: tuple[str, ...] = Field(
        default=(), description="digests of breaking changes of the contract that this person approved"
    )
    over: tuple[BuildId | None, ...] | None = Field(
        default=None,
        description="what may be Current when it begins: it was compared with that; null: anything",
    )
    supersedes: BuildId | None = Field(default=None, description="the build whose release this one ended")


class RollBackRequest(Value):
    """Route an algorithm's calls back to an earlier build and quarantine the present one."""

    target: Build
    bad: BuildId
    was_current: bool = Field(
        default=True, description="false: the bad one is in its ramp, and stays nowhere"
    )
    also_bad: tuple[BuildId, ...] = Field(
        default=(), description="builds that a roll-back was taking away which this one ends"
    )
    replicas: int = Field(ge=1)
    start_timeout: float = Field(gt=0)
    by: str = Field(max_length=200)
    reason: str = Field(default="", max_length=1000)
    run_url: str = Field(default="", max_length=500)


class Lineage(Value):
    """The builds of a deployment, as far as their age and their past decide what is retired."""

    current: BuildId | None
    ramping: BuildId | None
    good: tuple[BuildId, ...] = Field(description="that are or were Current and not bad, the latest first")
    versions: tuple[BuildId, ...] = Field(description="all that are listed, the oldest first")

    def promoted(self, build_id: BuildId) -> "Lineage":
        """What it will be once a build of it, or a new one, is made Current."""
        others = tuple(build for build in self.versions if build != build_id)
        return Lineage(
            current=build_id, ramping=None, good=(build_id, *self.good), versions=(*others, build_id)
        )


class RetireRequest(Value):
    """Stop and delete what is past retention."""

    algorithm: AlgorithmName
    keep: int
    records: int = Field(default=50, description="versions that are kept for their metadata")
    spare: tuple[BuildId, ...] = Field(default=(), description="builds that are left alone in any case")
    lineage: Lineage | None = Field(default=None, description="where it is known; else it is read")


class Retired(Value):
    """What was retired."""

    stopped: tuple[BuildId, ...] = ()
    deleted: tuple[BuildId, ...] = ()
    busy: tuple[BuildId, ...] = Field(default=(), description="past retention, but still at work")
    later: tuple[BuildId, ...] = Field(default=(), description="the server does not let them be deleted yet")


class Routed(Value):
    """What a release or a roll-back did."""

    algorithm: AlgorithmName
    build_id: BuildId
    previous: BuildId | None
    propagated: bool = Field(description="whether the server said that all task queues know it")
    batch: BuildId | None = Field(default=None, description="the build that batch calls go to, if any do")
    by: str
    reason: str
    judged: tuple[Judged, ...] = ()
    retired: Retired | None = None


class Routing(Value):
    """Which of an algorithm's two deployments is meant: that of its own queue, or that of its batch queue."""

    algorithm: AlgorithmName
    batch: bool = False

    @property
    def deployment(self) -> str:
        """Its name at Temporal."""
        return batch_of(self.algorithm) if self.batch else self.algorithm


class Reference(Routing):
    """A build by name."""

    build_id: BuildId

    @property
    def for_batch(self) -> "Reference":
        """The same build at batch calls."""
        return self.model_copy(update={"batch": True})


class Wanted(Reference):
    """What a release or a roll-back of a build wants to know where it begins."""

    lineage: bool = Field(default=False, description="costs a request for each build that was Current")


class Before(Value):
    """What a release finds where it begins."""

    current: BuildId | None
    was: BuildId | None = Field(
        description="the build to go back to: Current, or the one before the candidate"
    )
    promised: BuildId | None = Field(
        default=None, description="the build whose contract callers rely on: Current, else a placeholder"
    )
    is_used: bool = Field(description="whether other builds' workers were ever called")
    batch: BuildId | None = Field(default=None, description="the build that is Current for batch calls")
    batch_was: BuildId | None = Field(
        default=None, description="the build that batch calls go back to: never the candidate"
    )
    versions: int = Field(default=0, description="how many there are; the server takes only so many")
    lineage: Lineage | None = None


class Route(Routing):
    """Make a build Current, if Current still is one of those expected; a null build makes none Current."""

    build_id: BuildId | None
    expected: tuple[BuildId | None, ...]


class RampTo(Value):
    """Route a share of the workflows to a build."""

    build: Reference
    percent: float


class Undo(Value):
    """Put the routing back to what a release began with, if its candidate is Current; `was` may be none."""

    candidate: Reference
    was: BuildId | None
    stays: bool = Field(default=False, description="the candidate was Current before and is not to blame")


class Pair(Value):
    """A candidate and the build that it is compared with."""

    candidate: Reference
    current: BuildId | None
    troubled: Troubled = Field(default=Troubled(), description="calls that are known to fail on Current")
    tried: bool = Field(
        default=False,
        description="whether a gate just called the candidate, of which its workers told nothing yet",
    )


class Counters(Value):
    """What the two had done at a moment."""

    candidate: Meter = Meter()
    current: Meter = Meter()
    troubled: Troubled = Troubled()


class ObserveRequest(Value):
    """Judge a candidate beside Current, from a moment on."""

    candidate: Reference
    current: BuildId | None = Field(description="the build that it is compared with")
    reference: Tally = Field(description="what that build did when it last had calls")
    counters: Counters
    options: ReleaseOptions
    how: Observe
    stage: Stage
    percent: float | None
    since: datetime
    replicas: int


class Observed(Value):
    """What an observation found."""

    judged: Judged
    fault: Fault | None = Field(default=None, description="of a worker, which no figures are needed for")
    failing: tuple[PendingCall, ...] = Field(default=(), description="calls whose last attempt failed there")
    troubled: Troubled = Field(default=Troubled(), description="calls that fail on Current too")


class HealRequest(Value):
    """Follow calls that failed on a bad build."""

    bad: Reference
    failing: tuple[PendingCall, ...]
    seconds: float


class HealedCall(Value):
    """A call that failed on a bad build, and what became of it."""

    call: PendingCall
    outcome: Literal["completed", "failed", "pending", "gone"]
    build_id: str = Field(default="", description="that completed it")


class HealReport(Value):
    """What became of the calls that failed on a bad build."""

    calls: tuple[HealedCall, ...] = ()
    more: int = Field(default=0, description="failing calls that are not listed")


class Order(Value):
    """What a person says to a running release."""

    by: str = Field(max_length=200)
    reason: str = Field(default="", max_length=1000)


class Progress(Value):
    """Where a release is, for people and for `conduit status`."""

    build_id: BuildId
    stage: Stage
    percent: float | None = None
    waits: Literal["", "paused", "held"] = ""
    judged: tuple[Judged, ...] = ()
    fault: str = ""


class Registered(Value):
    """A version's own metadata as the conduit writes it."""

    build: Build
    by: str
    run_url: str = ""
    at: datetime

    @field_validator("build")
    @classmethod
    def _without_examples(cls, build: Build) -> Build:
        """Metadata has little room, and only the gates need them."""
        return build.without_examples()


class Quarantine(Value):
    """Why a build must not be promoted again."""

    reason: str
    by: str
    at: datetime
    unless: str = Field(default="", description="the approval that lifts it; empty: only force does")


class Approved(Value):
    """Who approved a breaking change of the contract, and why."""

    digest: str
    by: str
    reason: str
    at: datetime


class Quarantined(Value):
    """Put a build into quarantine."""

    build: Reference
    quarantine: Quarantine
