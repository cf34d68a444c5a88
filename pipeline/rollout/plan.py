"""What a release does next. Pure: the state and what came of the last action in, the next action out.

    start ─ gate ─ offline ─ ramp … ramp ─ promote ─ watch ─ retire ─ done
                └───────── any fault ────┴─ roll back ─ failed

Pausing and holding keep a release from going forward. Nothing keeps it from going back.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field

from pipeline.gates import Verdict
from pipeline.models import BuildId, Value, is_placeholder
from pipeline.options.release import OfflineFirst, ReleaseOptions
from pipeline.rollout.judge import Tally


class Stage(StrEnum):
    """Where on its route a release is."""

    START = "start"
    GATE = "gate"
    OFFLINE = "offline"
    RAMP = "ramp"
    PROMOTE = "promote"
    WATCH = "watch"
    RETIRE = "retire"
    DONE = "done"
    FAILED = "failed"


QUIET, NEVER_CALLED = 8.0, 2.0
"""Seconds without a call after which a step is over, where Current was called before, and where it never was."""

FORWARD = {
    Stage.START: Stage.GATE,
    Stage.GATE: Stage.OFFLINE,
    Stage.OFFLINE: Stage.RAMP,
    Stage.RAMP: Stage.PROMOTE,
    Stage.PROMOTE: Stage.WATCH,
    Stage.WATCH: Stage.RETIRE,
    Stage.RETIRE: Stage.DONE,
}


class Start(Value):
    """Have live, registered workers."""

    kind: Literal["start"] = "start"


class Gate(Value):
    """Call the candidate alone."""

    kind: Literal["gate"] = "gate"


class Offline(Value):
    """Route all batch calls to the candidate."""

    kind: Literal["offline"] = "offline"


class Ramp(Value):
    """Route a share of the workflows to the candidate."""

    kind: Literal["ramp"] = "ramp"
    percent: float


class Observe(Value):
    """Judge the candidate at production calls."""

    kind: Literal["observe"] = "observe"
    least: float = Field(description="seconds before it may pass")
    most: float = Field(description="seconds after which it is inconclusive")
    waits_for_a_person: bool = Field(default=False, description="only a failure or a person's word ends it")
    quiet: float | None = Field(default=None, description="seconds without any call after which it is over")


class Promote(Value):
    """Make the candidate Current and clear the ramp."""

    kind: Literal["promote"] = "promote"


class Retire(Value):
    """Stop and delete what is past retention."""

    kind: Literal["retire"] = "retire"


class PutBack(Value):
    """Put the routing back, clear the ramp, quarantine the candidate if it is to blame."""

    kind: Literal["put back"] = "put back"
    quarantine: bool


class End(Value):
    """Nothing is left to do."""

    kind: Literal["end"] = "end"


Action = Start | Gate | Offline | Ramp | Observe | Promote | Retire | PutBack | End


class Fault(Value):
    """Why a release goes no further."""

    error: str = Field(description="name in pipeline.errors")
    what: str
    why: str = ""
    now: str = ""
    log: str = ""
    by_the_build: bool = Field(description="the build is to blame, and is quarantined")


class Judged(Value):
    """What a step came to, for people."""

    stage: Stage
    percent: float | None = None
    verdict: Verdict
    reason: str
    candidate: Tally = Tally()
    current: Tally = Tally()
    workflows: int = Field(
        default=0, description="that were seen to have a call with the candidate, at least"
    )


class State(Value):
    """A release at one moment."""

    options: ReleaseOptions
    candidate: BuildId
    was: BuildId | None = Field(description="the build to go back to, if there is one")
    is_current: bool = Field(default=False, description="whether the candidate was Current when this began")
    is_used: bool = Field(default=True, description="whether Current was ever called")
    stage: Stage = Stage.START
    step: int = Field(default=0, description="of the ramp")
    is_ramped: bool = Field(default=False, description="whether the step's calls are routed")
    held: bool = Field(default=False, description="inconclusive: a person has to decide")
    paused: bool = False
    at_once: bool = Field(default=False, description="a person said: without a ramp")
    fault: Fault | None = None
    judged: tuple[Judged, ...] = ()

    @property
    def percent(self) -> float | None:
        """The share of workflows that the ramp's step gives to the candidate."""
        return self.options.steps[self.step].ramp if self.stage is Stage.RAMP else None

    @property
    def waits_for_a_person(self) -> bool:
        """Whether it goes forward only when told."""
        return self.paused or self.held

    @property
    def is_over(self) -> bool:
        """Whether nothing can stop it any more."""
        return self.stage in (Stage.RETIRE, Stage.DONE, Stage.FAILED)

    @property
    def _has_ramp(self) -> bool:
        if self.was is None or is_placeholder(self.was):  # made-up answers are no measure
            return False
        judges = self.is_used or self.options.on_inconclusive == "hold"
        return bool(self.options.steps) and judges and not self.at_once

    @property
    def _is_offline_first(self) -> bool:
        return self.options.offline_first is not None and not self.at_once

    def pause(self) -> Self:
        """A person said: do not go forward."""
        return self.model_copy(update={"paused": True, "at_once": False})

    def resume(self) -> Self:
        """A person said: go on. What was held is judged anew."""
        return self.model_copy(update={"paused": False, "held": False})

    def promote(self) -> Self:
        """A person said: make it Current now, whatever its figures; after that: end the watch. Gates count on."""
        if self.fault or self.is_over:  # it goes back already, or is done
            return self
        told = self.model_copy(update={"paused": False, "held": False, "at_once": True})
        skipped_to = {Stage.OFFLINE: Stage.PROMOTE, Stage.RAMP: Stage.PROMOTE, Stage.WATCH: Stage.RETIRE}
        # What has failed already is put back, wherever it is.
        return told._to(skipped_to[self.stage]) if self.stage in skipped_to and not self.fault else told

    def abort(self, fault: Fault) -> Self:
        """A person said: stop and go back."""
        return self if self.fault or self.is_over else self.model_copy(update={"fault": fault})

    def broke(self, fault: Fault) -> Self:
        """An action could not be done."""
        if self.stage is Stage.RETIRE:  # what is live stays live
            return self._to(Stage.DONE)
        if self.fault:  # even rolling back failed; nothing is left to try
            return self.model_copy(update={"fault": _not_put_back(self.fault, fault)})._to(Stage.FAILED)
        return self.model_copy(update={"fault": fault})

    def after(self, action: Action, judged: Judged | None = None, fault: Fault | None = None) -> Self:
        """An action was done; `judged` and `fault` are what a gate or an observation found."""
        if isinstance(action, PutBack):
            return self._to(Stage.FAILED)
        if self.fault:
            return self
        told = self.model_copy(update={"judged": (*self.judged, judged)}) if judged else self
        if fault is None and judged and judged.verdict is Verdict.FAIL:
            fault = judged_bad(self, judged)
        if fault:
            return told.broke(fault)
        if isinstance(action, Offline | Ramp):
            return told.model_copy(update={"is_ramped": True})
        return told._observed(action, judged) if isinstance(action, Observe) and judged else told._forward()

    def _observed(self, action: Observe, judged: Judged) -> Self:
        if self.stage is Stage.WATCH:  # it is live, and nothing speaks against it
            return self._forward()
        if action.waits_for_a_person:
            return self.broke(_nobody_decided(action.most))
        if judged.verdict is Verdict.INCONCLUSIVE and self.options.on_inconclusive == "hold":
            return self.model_copy(update={"held": True})
        return self._forward()

    def _forward(self) -> Self:
        if self.stage is Stage.RAMP and self.step + 1 < len(self.options.steps):
            return self.model_copy(update={"step": self.step + 1, "is_ramped": False})
        return self._to(FORWARD[self.stage])._past_what_is_not_needed()

    def _past_what_is_not_needed(self) -> Self:
        if self.stage in (Stage.GATE, Stage.OFFLINE, Stage.RAMP) and self.is_current:
            return self._to(Stage.PROMOTE)
        if self.stage is Stage.OFFLINE and not self._is_offline_first:
            return self._to(Stage.RAMP)._past_what_is_not_needed()
        if self.stage is Stage.RAMP and not self._has_ramp:
            return self._to(Stage.PROMOTE)
        if self.stage is Stage.WATCH and not self.options.watch:
            return self._to(Stage.RETIRE)
        return self

    def _to(self, stage: Stage) -> Self:
        return self.model_copy(update={"stage": stage, "held": False, "is_ramped": False})


def next_action(state: State) -> Action:
    """What to do now."""
    if state.stage in (Stage.DONE, Stage.FAILED):
        return End()
    if state.fault and not state.is_over:
        return PutBack(quarantine=state.fault.by_the_build)
    if state.stage in JUDGED:
        return _until_told(state) if state.waits_for_a_person else JUDGED[state.stage](state)
    if state.stage is Stage.PROMOTE and state.paused:
        return _until_told(state)
    return SIMPLE[state.stage]


SIMPLE: Mapping[Stage, Action] = {
    Stage.START: Start(),
    Stage.GATE: Gate(),
    Stage.PROMOTE: Promote(),
    Stage.RETIRE: Retire(),
}


def _offline(state: State) -> Action:
    first = state.options.offline_first or OfflineFirst()
    return _observe(state, first.for_.total_seconds()) if state.is_ramped else Offline()


def _ramp(state: State) -> Action:
    step = state.options.steps[state.step]
    return _observe(state, step.for_.total_seconds()) if state.is_ramped else Ramp(percent=step.ramp)


def _watch(state: State) -> Action:
    return _observe(state, state.options.watch.total_seconds())


JUDGED: Mapping[Stage, Callable[[State], Action]] = {
    Stage.OFFLINE: _offline,
    Stage.RAMP: _ramp,
    Stage.WATCH: _watch,
}


def _observe(state: State, least: float) -> Observe:
    # Where nobody calls, waiting brings nothing to judge by; but only a person lets such a build pass under "hold".
    quiet = (QUIET if state.is_used else NEVER_CALLED) if state.options.on_inconclusive == "go-on" else None
    # After the watch nothing is decided by the number of calls: there is nothing to wait for.
    more = 0.0 if state.stage is Stage.WATCH else state.options.inconclusive_limit.total_seconds()
    return Observe(least=least, most=least + more, quiet=quiet)


def _until_told(state: State) -> Observe:
    limit = state.options.hold_limit.total_seconds()
    return Observe(least=limit, most=limit, waits_for_a_person=True)


def judged_bad(state: State, judged: Judged) -> Fault:
    """The fault of a build whose figures are bad."""
    where = "at batch calls" if state.stage is Stage.OFFLINE else "after it became Current"
    if state.percent:
        where = f"at {state.percent:g} % of the workflows"
    return Fault(
        error="BuildTurnedBad",
        what=f"Build {state.candidate} turned bad {where}.",
        why=f"{judged.reason[:1].upper()}{judged.reason[1:]}.",
        now="Mend the algorithm and push again.",
        by_the_build=True,
    )


def _not_put_back(fault: Fault, because: Fault) -> Fault:
    why = " ".join(filter(None, [fault.why, "Going back failed:", because.what, because.why]))
    now = "Calls may still go to this build: look at `conduit status`, then use `conduit rollback`."
    return fault.model_copy(update={"why": why, "now": now})


def _nobody_decided(seconds: float) -> Fault:
    return Fault(
        error="NotJudged",
        what=f"Nobody decided within {seconds:.0f} seconds.",
        why="The release waited for a person: it was paused, or too few calls came to judge it.",
        now="Deliver the commit again when there are calls; `conduit promote` goes on without them.",
        by_the_build=False,
    )
