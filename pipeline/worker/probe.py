"""The workflow through which a build is called that takes no production calls.

A workflow that is pinned to a version sends the activities of its own task queue to that version. So a caller
starts this one, pinned to the build that it means, and gives it *trials*: calls whose input is an example, or
that of a call which was made before and is found in its caller's history. What is told of a trial holds no
input and no output; of what a build *served* it tells which calls, and how long they took.

These names begin with `conduit.`, which research activities' names may not.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from temporalio import workflow
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType
from temporalio.worker import StartActivityInput, WorkflowInboundInterceptor, WorkflowOutboundInterceptor

PROBE = "conduit.probe"
SERVED = "conduit.served"
SAVED = "conduit.saved"
HEADER = "conduit.trial"
WORKFLOW_ID = "conduit/probe/"
"""How the IDs of these workflows begin. What they take and give is not encoded: no codec is needed to read it."""

SILENCE = timedelta(seconds=10)
"""A worker that tells nothing of a trial for so long has died, or its event loop stands."""
TO_START = timedelta(seconds=60)
ASKING = timedelta(seconds=20)
SUMMARY = 200
MOST_LOST = 2
"""After so many trials that no worker survived, no further one is begun."""
MOST_SLOW = 4
"""After so many that did not end in time, none is either: each of them takes all of its time."""

Outcome = Literal["same", "different", "failed", "refused", "slow", "lost", "unread", "skipped"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reference(_Frozen):
    """A call that a worker answered, by where it stands in its caller's history."""

    workflow_id: str
    run_id: str
    workflow_type: str
    activity_id: str
    seconds: float


class _Told(_Frozen):
    """What a worker tells: its host may be newer than who asks."""

    model_config = ConfigDict(extra="ignore")


class Served(_Told):
    """What one worker answered of one activity since it started."""

    activity: str
    calls: int
    failures: int
    p50: float | None = Field(description="seconds, of the latest calls")
    p95: float | None
    references: tuple[Reference, ...] = Field(description="the latest calls that were answered, newest first")
    running: tuple[Reference, ...] = Field(
        default=(),
        description="calls that are under way, and the seconds since they began, the longest first",
    )


class Example(_Frozen):
    """An input, and what is expected of its output: the fields that are named, null for nothing."""

    input: JsonValue
    output: JsonValue = None


class Trial(_Frozen):
    """One call of an activity for trial; either an example or a reference gives its input."""

    number: int
    activity: str
    example: Example | None = None
    reference: Reference | None = None
    limit: float = Field(gt=0, description="seconds that the call may take")
    run: bool = Field(default=True, description="false: read the input and call nothing")
    tolerance: float = Field(default=0.0, ge=0, description="by how much two numbers may differ")
    show: bool = Field(default=False, description="whether values may be told; never where a codec is set")


class Caller(_Frozen):
    """How an activity was called; durations in seconds, null where they have no limit."""

    workflow_type: str
    start_to_close: float | None
    schedule_to_close: float | None
    maximum_attempts: int = Field(description="0: no limit")


class Tried(_Told):
    """What came of a trial."""

    number: int
    outcome: Outcome
    seconds: float | None = None
    why: str = ""
    differences: tuple[str, ...] = ()
    compared: bool = False
    caller: Caller | None = None


class SavedCall(_Frozen):
    """A call that is under way and may have saved state."""

    workflow_id: str
    run_id: str
    activity_id: str
    activity: str
    last: bool = Field(default=False, description="whether its caller allows no attempt after this one")


class Unread(_Told):
    """A call whose state a build could not go on from; the reason holds none of the state."""

    call: SavedCall
    why: str


class ProbeRequest(_Frozen):
    """Trials to make, or, where `references` is a number, how many of each activity's calls to name; calls whose
    saved state to read.
    """

    trials: tuple[Trial, ...] = ()
    at_once: int = Field(default=4, ge=1)
    references: int | None = None
    saved: tuple[SavedCall, ...] = ()
    within: float | None = Field(default=None, description="seconds after which no further trial is begun")


class ProbeAnswer(_Told):
    """What came of all trials, in their order, what was served, and which state could not be read."""

    tried: tuple[Tried, ...] = ()
    served: tuple[Served, ...] = ()
    unread: tuple[Unread, ...] = ()


@workflow.defn(name=PROBE, versioning_behavior=VersioningBehavior.PINNED)
class Probe:
    """Calls the version that it is pinned to."""

    def __init__(self) -> None:
        self._lost = 0
        self._slow = 0
        self._until: float | None = None

    @workflow.run
    async def run(self, request: ProbeRequest) -> ProbeAnswer:
        """Do what is asked."""
        served: list[Served] = []
        if request.references is not None:
            served = await workflow.execute_local_activity(
                SERVED,
                request.references,
                result_type=list[Served],
                schedule_to_close_timeout=ASKING,
            )
        unread: list[Unread] = []
        if request.saved:
            unread = await workflow.execute_local_activity(
                SAVED, list(request.saved), result_type=list[Unread], schedule_to_close_timeout=ASKING
            )
        if request.within is not None:
            self._until = workflow.time() + request.within
        seats = asyncio.Semaphore(request.at_once)
        tried = await asyncio.gather(*(self._seated(seats, trial) for trial in request.trials))
        return ProbeAnswer(tried=tuple(tried), served=tuple(served), unread=tuple(unread))

    async def _seated(self, seats: asyncio.Semaphore, trial: Trial) -> Tried:
        async with seats:
            tried = await self._try(trial)
            # A call that production would try again deserves that here; a fault that stays shows again.
            return await self._try(trial) if tried.outcome == "failed" else tried

    async def _try(self, trial: Trial) -> Tried:
        if why := self._why_not():
            return Tried(number=trial.number, outcome="skipped", why=why)
        try:
            tried: Tried = await workflow.execute_activity(
                trial.activity,
                trial,
                result_type=Tried,
                start_to_close_timeout=timedelta(seconds=trial.limit),
                schedule_to_start_timeout=TO_START,
                heartbeat_timeout=SILENCE,
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary=_summary(trial),
            )
            return tried
        except ActivityError as error:
            outcome, why = _explain(error.cause)
            self._lost += outcome == "lost"
            self._slow += outcome == "slow"
            return Tried(number=trial.number, outcome=outcome, why=why)

    def _why_not(self) -> str:
        """Why no further trial is begun; "" if one is."""
        if self._lost >= MOST_LOST or self._slow >= MOST_SLOW:
            return "too many before it killed a worker, or did not end"
        if self._until is not None and workflow.time() > self._until:
            return "the time for it was over"
        return ""


def as_summary(text: str) -> str:
    """Text as Temporal's UI shows it beside a call: the server takes 400 bytes, and names may be of any script."""
    return text.encode("ascii", "replace").decode()[:SUMMARY]


def _summary(trial: Trial) -> str:
    """What people see of the call: these are the only calls whose build is known before they are made."""
    version = workflow.info().get_current_deployment_version()
    build = f"{version.deployment_name}, build {version.build_id}: " if version else ""
    return as_summary(f"{build}trial {trial.number} of {trial.activity}")


def _explain(cause: BaseException | None) -> tuple[Outcome, str]:
    if isinstance(cause, TimeoutError):
        if cause.type == TimeoutType.START_TO_CLOSE:
            return "slow", "it did not answer in time"
        return "lost", "its worker died, or something held its event loop or Python's lock"
    return "failed", (cause.type or "") if isinstance(cause, ApplicationError) else type(cause).__name__


class ProbeInterceptor(WorkflowInboundInterceptor):
    """Sends trials in a header: the activity's own arguments stay as its caller would have given them."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        """Let what the workflow calls go through the one below."""
        super().init(_InHeader(outbound))


class _InHeader(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> "workflow.ActivityHandle[Any]":
        trials: Sequence[Any] = input.args
        payload = workflow.payload_converter().to_payload(trials[0])
        input.headers = {**input.headers, HEADER: payload}
        input.args = []
        return self.next.start_activity(input)
