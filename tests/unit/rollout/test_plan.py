"""The route of a release: which action follows which, whatever actions, figures and people do."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gates import Verdict
from pipeline.options.release import OfflineFirst, ReleaseOptions, ramp_step
from pipeline.rollout.plan import (
    Action,
    End,
    Fault,
    Gate,
    Judged,
    Observe,
    Offline,
    Promote,
    PutBack,
    Ramp,
    Retire,
    Stage,
    Start,
    State,
    next_action,
)

STEPS = (ramp_step(10, 30), ramp_step(50, 30))
HOLD = ReleaseOptions.model_validate({"on-inconclusive": "hold", "steps": STEPS})
GO_ON = ReleaseOptions(steps=STEPS)
OFFLINE_FIRST = ReleaseOptions.model_validate({"steps": STEPS, "offline-first": {}})
NO_PAUSES = ReleaseOptions(steps=(), watch=timedelta(0))
BROKEN = Fault(error="NoLiveWorker", what="it broke", by_the_build=False)
ABORTED = Fault(error="Aborted", what="somebody aborted it", by_the_build=True)
MOST_ACTIONS = 60


def state(options: ReleaseOptions = GO_ON, **more: object) -> State:
    return State.model_validate({"options": options, "candidate": "new-1", "was": "old-1", **more})


def judged(at: State, verdict: Verdict) -> Judged:
    return Judged(stage=at.stage, percent=at.percent, verdict=verdict, reason="so it was")


def route(at: State, verdict: Verdict = Verdict.PASS) -> Iterator[Action]:
    """The actions when every observation comes to the same verdict."""
    while True:
        action = next_action(at)
        yield action
        if isinstance(action, End):
            return
        at = at.after(action, judged(at, verdict) if isinstance(action, Gate | Observe) else None)


def kinds(at: State, verdict: Verdict = Verdict.PASS) -> list[str]:
    return [action.kind for action in route(at, verdict)]


def test_a_good_build_goes_the_whole_route() -> None:
    ramp = ["ramp", "observe", "ramp", "observe"]
    assert kinds(state()) == ["start", "gate", *ramp, "promote", "observe", "retire", "end"]


def test_a_release_without_pauses_only_starts_gates_and_promotes() -> None:
    assert kinds(state(NO_PAUSES)) == ["start", "gate", "promote", "retire", "end"]


def test_a_build_gets_batch_calls_after_its_gates_and_before_its_ramp() -> None:
    ramp = ["ramp", "observe", "ramp", "observe"]
    head = ["start", "gate", "offline", "observe"]
    assert kinds(state(OFFLINE_FIRST)) == [*head, *ramp, "promote", "observe", "retire", "end"]


def test_a_build_that_is_bad_at_batch_calls_gets_no_others() -> None:
    at = state(OFFLINE_FIRST, stage=Stage.OFFLINE, is_ramped=True)
    assert kinds(at, Verdict.FAIL) == ["observe", "put back", "end"]
    fault = at.after(next_action(at), judged(at, Verdict.FAIL)).fault
    assert fault is not None
    assert fault.what == "Build new-1 turned bad at batch calls."
    assert fault.now == "Mend the algorithm and push again."  # where calls go is said once they do


def test_too_few_batch_calls_hold_the_release_where_the_config_says_so() -> None:
    options = HOLD.model_copy(update={"offline_first": OfflineFirst()})
    at = state(options, stage=Stage.OFFLINE, is_ramped=True)
    held = at.after(next_action(at), judged(at, Verdict.INCONCLUSIVE))
    assert (held.stage, held.held) == (Stage.OFFLINE, True)
    assert next_action(held.resume()) == next_action(at)


@pytest.mark.parametrize("is_routed", [True, False])
def test_promote_now_passes_over_batch_calls_too(is_routed: bool) -> None:
    at = state(OFFLINE_FIRST, stage=Stage.OFFLINE, is_ramped=is_routed)
    assert kinds(at.promote())[0] == "promote"
    assert kinds(state(OFFLINE_FIRST).promote())[:3] == ["start", "gate", "promote"]


@pytest.mark.parametrize("at", [state(was=None), state(is_used=False), state(was="placeholder-a")])
def test_a_first_build_one_that_nobody_calls_and_one_over_a_placeholder_have_no_ramp(at: State) -> None:
    assert kinds(at) == ["start", "gate", "promote", "observe", "retire", "end"]


def test_a_build_that_is_current_is_watched_on() -> None:
    assert kinds(state(is_current=True)) == ["start", "promote", "observe", "retire", "end"]


def test_a_release_that_must_not_go_on_unjudged_ramps_even_where_nobody_calls() -> None:
    assert "ramp" in kinds(state(HOLD, is_used=False))


def test_too_few_calls_hold_the_release_until_nobody_decided() -> None:
    actions = list(route(state(HOLD), Verdict.INCONCLUSIVE))
    assert [a.kind for a in actions] == ["start", "gate", "ramp", "observe", "observe", "put back", "end"]
    assert isinstance(actions[4], Observe)
    assert actions[4].waits_for_a_person
    assert actions[5] == PutBack(quarantine=False)


def test_too_few_calls_go_on_where_the_config_says_so() -> None:
    assert kinds(state(GO_ON), Verdict.INCONCLUSIVE) == kinds(state(GO_ON), Verdict.PASS)


def test_after_the_watch_too_few_calls_change_nothing() -> None:
    watching = state(HOLD, stage=Stage.WATCH)
    assert kinds(watching, Verdict.INCONCLUSIVE) == ["observe", "retire", "end"]


@pytest.mark.parametrize("stage", [Stage.GATE, Stage.RAMP, Stage.WATCH])
def test_a_fail_puts_back_and_quarantines(stage: Stage) -> None:
    at = state(stage=stage, is_ramped=True)
    assert kinds(at, Verdict.FAIL)[1:] == ["put back", "end"]
    after = at.after(next_action(at), judged(at, Verdict.FAIL))
    assert next_action(after) == PutBack(quarantine=True)


def test_a_paused_release_waits_and_a_resumed_one_goes_on() -> None:
    ramped = state(stage=Stage.RAMP, is_ramped=True)
    waiting = next_action(ramped.pause())
    assert isinstance(waiting, Observe)
    assert waiting.waits_for_a_person
    assert next_action(ramped.pause().resume()) == next_action(ramped)


def test_a_paused_release_is_put_back_all_the_same() -> None:
    paused = state(stage=Stage.RAMP, is_ramped=True).pause()
    failed = paused.after(next_action(paused), judged(paused, Verdict.FAIL))
    assert next_action(failed) == PutBack(quarantine=True)


def test_promote_now_passes_over_the_ramp_but_not_over_the_gates() -> None:
    assert kinds(state().promote())[:3] == ["start", "gate", "promote"]
    assert kinds(state(stage=Stage.RAMP, is_ramped=True).promote())[0] == "promote"
    assert kinds(state(stage=Stage.WATCH).promote()) == ["retire", "end"]


def test_the_watch_follows_a_promotion_by_hand() -> None:
    assert "observe" in kinds(state(stage=Stage.RAMP, is_ramped=True).promote())


def test_what_is_live_stays_live_where_retiring_fails() -> None:
    assert next_action(state(stage=Stage.RETIRE).broke(BROKEN)) == End()
    assert state(stage=Stage.RETIRE).broke(BROKEN).fault is None


def test_promote_comes_too_late_for_what_failed() -> None:
    watching = state(stage=Stage.WATCH)
    failed = watching.after(next_action(watching), judged(watching, Verdict.FAIL))
    assert next_action(failed.promote()) == PutBack(quarantine=True)


def test_an_abort_comes_too_late_for_what_is_done() -> None:
    assert next_action(state(stage=Stage.RETIRE).abort(ABORTED)) == Retire()


class World:
    """The routing that the actions change, with actions that may fail."""

    def __init__(self, before: State) -> None:
        self.current = before.candidate if before.is_current else before.was
        self.batch = self.current
        self.ramp: str | None = None
        self.put_back_failed = False

    def do(self, action: Action, at: State) -> None:
        if isinstance(action, Offline):
            self.batch = at.candidate
        elif isinstance(action, Ramp):
            assert self.batch == at.candidate or not at.options.offline_first
            self.ramp = at.candidate
        elif isinstance(action, Promote):
            self.current, self.ramp = at.candidate, None
            self.batch = at.candidate if at.options.offline_first else self.batch
        elif isinstance(action, PutBack):
            self.ramp = None
            if action.quarantine or not at.is_current:
                self.current = at.was if self.current == at.candidate else self.current
                self.batch = at.was if self.batch == at.candidate else self.batch


OPTIONS = st.builds(
    lambda steps, hold, watch, offline: ReleaseOptions.model_validate(
        {
            "steps": steps,
            "offline-first": {} if offline else None,
            "on-inconclusive": "hold" if hold else "go-on",
            "watch": f"{watch}s",
        }
    ),
    st.lists(st.builds(ramp_step, st.integers(1, 99), st.integers(0, 99)), max_size=3).map(tuple),
    st.booleans(),
    st.integers(0, 5),
    st.booleans(),
)
STATES = st.builds(
    lambda options, was, current, used: state(options, was=was, is_current=current, is_used=used),
    OPTIONS,
    st.sampled_from([None, "old-1"]),
    st.booleans(),
    st.booleans(),
)
PEOPLE = st.sampled_from(["", "", "", "pause", "resume", "promote", "abort"])
MOVES = st.lists(
    st.tuples(PEOPLE, st.sampled_from(list(Verdict)), st.integers(0, 9).map(lambda n: n == 0)), max_size=25
)


def told(at: State, word: str) -> State:
    match word:
        case "pause":
            return at.pause()
        case "resume":
            return at.resume()
        case "promote":
            return at.promote()
        case "abort":
            return at.abort(ABORTED)
    return at


@given(start=STATES, moves=MOVES)
def test_every_release_ends_without_a_ramp_and_with_one_good_build(
    start: State, moves: list[tuple[str, Verdict, bool]]
) -> None:
    at, world = start, World(start)
    by_hand = promoted = False
    for number in range(MOST_ACTIONS):
        word, verdict, breaks = moves[number] if number < len(moves) else ("", Verdict.PASS, False)
        at = told(at, word)
        by_hand |= word == "promote"
        action = next_action(at)
        if isinstance(action, End):
            break
        if breaks and not isinstance(action, PutBack):
            at = at.broke(BROKEN)
            continue
        if isinstance(action, Promote):
            promoted = True
            assert at.fault is None
            assert all(j.verdict is not Verdict.FAIL for j in at.judged)
            if start.options.on_inconclusive == "hold" and not by_hand:
                ramped = [j for j in at.judged if j.stage is Stage.RAMP]
                assert all(j.verdict is Verdict.PASS for j in ramped[-1:])
        world.do(action, at)
        looks = isinstance(action, Gate | Observe)
        at = at.after(action, judged(at, verdict) if looks else None)
    assert next_action(at) == End(), "it did not end"
    assert world.ramp is None
    if at.stage is Stage.DONE:
        assert world.current == start.candidate
        assert (
            world.batch == (start.candidate if start.options.offline_first else start.was) or start.is_current
        )
        assert promoted
    elif not start.is_current:
        assert world.current == world.batch == start.was


def test_every_action_is_of_some_stage() -> None:
    assert isinstance(next_action(state()), Start)
