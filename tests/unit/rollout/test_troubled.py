"""Whose failures are not held against a build."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeline.gates import Verdict
from pipeline.options.release import ReleaseOptions
from pipeline.rollout.judge import Count, Meter, Tally, Told, Work, judge
from pipeline.rollout.observe import Seen
from pipeline.rollout.pending import PendingCall
from pipeline.rollout.troubled import AGAIN, OTHERS, TELLING, Troubled

OLD, NEW = "old", "new"
NONE = Tally()


def call(name: str, build_id: str, failures: int, *, timed_out: bool = False) -> PendingCall:
    return PendingCall(
        workflow_id=name,
        run_id=f"run of {name}",
        activity_id="1",
        activity="m",
        attempt=failures + 1,
        build_id=build_id,
        failure="ValueError: no samples",
        timed_out=timed_out,
    )


def seen(calls: int, failed: int, *looks: Sequence[PendingCall]) -> Seen:
    """A candidate's counters, and what callers waited for at each look, the first before it had any call."""
    meter = Meter(
        since={"k": Count(processed=0, failed=0)}, latest={"k": Count(processed=calls, failed=failed)}
    )
    now = Seen(candidate=meter, troubled=Troubled().anew(looks[0], NEW, OLD))
    for look in looks[1:]:
        now = now.with_calls(look, NEW, OLD, excused=False)
    return now


def answering(what: Seen, calls: int) -> Seen:
    """The same where the candidate's workers tell that they answered so many other calls."""
    return what.model_copy(update={"told": Told(candidate={"m": Work(calls=calls)})})


def verdict(what: Seen) -> Verdict:
    return judge(what.judged_by(NEW), NONE, NONE, ReleaseOptions()).verdict


@given(good=st.integers(0, 200), before=st.integers(AGAIN, 50), failures=st.integers(0, 100))
def test_a_call_that_fails_on_every_build_convicts_no_good_one(good: int, before: int, failures: int) -> None:
    what = seen(good + failures, failures, [call("w", OLD, before)], [call("w", NEW, before + failures)])
    assert what.judged_by(NEW) == Tally(calls=good, excused=failures)
    assert verdict(what) is (Verdict.PASS if good >= 20 else Verdict.INCONCLUSIVE)


@given(
    good=st.integers(0, 100),
    others=st.integers(0, 50),
    excused=st.integers(0, 50),
    timed_out=st.booleans(),
)
def test_failures_of_other_calls_count_as_if_the_excused_call_were_not_there(
    good: int, others: int, excused: int, timed_out: bool
) -> None:
    counted = others if timed_out else others + excused  # timeouts are in no counter
    what = seen(
        good + counted,
        counted,
        [call("w", OLD, AGAIN)],
        [call("w", NEW, AGAIN + excused, timed_out=timed_out), call("other", NEW, others)],
    )
    alone = seen(good + others, others, [], [call("other", NEW, others)])
    assert verdict(what) is verdict(alone)


@given(failures=st.integers(3, 30), before=st.integers(0, AGAIN - 1))
def test_bad_luck_on_current_excuses_nothing(failures: int, before: int) -> None:
    what = seen(failures, failures, [call("w", OLD, before)], [call("w", NEW, before + failures)])
    assert verdict(what) is Verdict.FAIL


@given(failures=st.integers(0, 30), lag=st.integers(0, 5))
def test_no_more_is_excused_than_the_counters_have(failures: int, lag: int) -> None:
    counted = max(0, failures - lag)
    what = seen(counted, counted, [call("w", OLD, AGAIN)], [call("w", NEW, AGAIN + failures)])
    assert what.judged_by(NEW) == Tally(excused=counted)


def test_an_excused_call_stays_excused_after_the_ramp_and_counts_from_there() -> None:
    ramp = Troubled().anew([call("w", OLD, 4)], NEW, OLD).read([call("w", NEW, 9)], NEW, OLD)
    assert ramp.failures == 5
    watch = ramp.anew([call("w", NEW, 10)], NEW, OLD)
    assert watch.failures == 0
    assert watch.read([call("w", NEW, 12)], NEW, OLD).failures == 2


def test_a_call_that_no_longer_waits_keeps_what_was_excused() -> None:
    what = Troubled().anew([call("w", OLD, 4)], NEW, OLD).read([call("w", NEW, 9)], NEW, OLD)
    assert what.read([], NEW, OLD) == what


@given(good=st.integers(OTHERS, 200), failures=st.integers(0, 100))
def test_one_input_that_fails_again_and_again_convicts_no_build_that_answers_others(
    good: int, failures: int
) -> None:
    what = answering(seen(good + failures, failures, [], [call("w", NEW, failures)]), good)
    assert what.judged_by(NEW).failed == min(failures, TELLING)
    assert verdict(what) is not Verdict.FAIL


@given(failures=st.integers(3, 100), answered=st.integers(0, OTHERS - 1))
def test_a_build_that_answers_nothing_else_is_convicted_by_one_input(failures: int, answered: int) -> None:
    what = seen(failures + answered, failures + answered, [], [call("w", NEW, failures)])
    assert verdict(answering(what, answered)) is Verdict.FAIL


def test_several_inputs_that_fail_convict_a_build_that_answers_others() -> None:
    failing = [call(f"w{number}", NEW, 9) for number in range(4)]
    what = answering(seen(20 + 4 * 9, 4 * 9, [], failing), 20)
    assert what.judged_by(NEW).failed == 4 * TELLING
    assert verdict(what) is Verdict.FAIL


def test_attempts_that_failed_before_counting_began_are_not_excused_again() -> None:
    begun = Troubled().anew([call("w", NEW, 7)], NEW, OLD)
    assert begun.read([call("w", NEW, 8)], NEW, OLD).repeats(["m"]) == 0
    assert begun.read([call("w", NEW, 12)], NEW, OLD).repeats(["m"]) == 5 - TELLING
    assert begun.read([call("w", NEW, 12)], NEW, OLD).repeats(["another"]) == 0
