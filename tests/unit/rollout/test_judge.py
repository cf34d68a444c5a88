"""What figures of heartbeats come to."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deployments import Worker
from pipeline.gates import Verdict
from pipeline.options.release import ReleaseOptions
from pipeline.rollout.judge import (
    LEAST_SLOWER,
    LEAST_WATCHED_ALONE,
    Heard,
    Meter,
    Tally,
    Told,
    Work,
    borne,
    chance,
    judge,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = ReleaseOptions()
NONE = Tally()


def worker(key: str, processed: int, failed: int = 0, used: int = 0) -> Worker:
    return Worker(
        key=key,
        identity=key,
        build_id="b",
        task_queue="q",
        running=True,
        heartbeat=START,
        used_slots=used,
        processed=processed,
        failed=failed,
    )


def verdict(calls: int, failed: int, current: Tally = NONE, before: Tally = NONE) -> Verdict:
    return judge(Tally(calls=calls, failed=failed), current, before, OPTIONS).verdict


@pytest.mark.parametrize(
    ("calls", "failed", "expected"),
    [
        (0, 0, Verdict.INCONCLUSIVE),
        (19, 0, Verdict.INCONCLUSIVE),
        (20, 0, Verdict.PASS),
        (2, 2, Verdict.INCONCLUSIVE),
        (3, 3, Verdict.FAIL),
        (20, 1, Verdict.INCONCLUSIVE),
        (100, 2, Verdict.PASS),
        (12, 4, Verdict.FAIL),
        (1000, 25, Verdict.INCONCLUSIVE),
        (1000, 60, Verdict.FAIL),
    ],
)
def test_a_verdict_needs_calls_and_a_failure_needs_few(calls: int, failed: int, expected: Verdict) -> None:
    assert verdict(calls, failed) is expected


def test_what_fails_on_current_too_is_not_held_against_the_build() -> None:
    current = Tally(calls=100, failed=30)
    assert verdict(30, 9, current) is Verdict.PASS
    assert verdict(30, 9, before=current) is Verdict.PASS
    assert verdict(30, 29, current) is Verdict.FAIL
    assert verdict(30, 9, Tally(calls=3, failed=3)) is Verdict.FAIL


CURRENT = Tally(calls=100, busy=20)
HANGING = Tally(calls=0, busy=16, watched=5)


def hearing(heard: Heard, **of: Work) -> Told:
    return Told(heard=heard, candidate=of, current={"m": Work(calls=20, busy=4)})


def verdict_on(candidate: Tally, told: Told) -> Verdict:
    return judge(candidate, CURRENT, NONE, OPTIONS, told).verdict


def test_a_build_whose_calls_do_not_end_is_slow_if_its_workers_say_so_too() -> None:
    told = hearing(Heard.ANSWER, m=Work(running=60))
    hanging = judge(HANGING, CURRENT, NONE, OPTIONS, told)
    assert hanging.verdict is Verdict.FAIL
    assert "0.2 s" in hanging.reason
    too_soon = HANGING.model_copy(update={"busy": 14, "watched": 60})
    assert verdict_on(too_soon, told) is Verdict.INCONCLUSIVE


def test_a_server_that_stands_still_makes_no_build_slow() -> None:
    stood = Tally(calls=30, busy=90, watched=9)  # all slots in use, and their calls had ended long ago
    assert verdict_on(stood, hearing(Heard.ANSWER, m=Work(calls=20, busy=4))) is Verdict.PASS


def test_a_doubtful_build_does_not_pass_before_its_workers_tell() -> None:
    doubtful = Tally(calls=30, busy=90, watched=9)
    assert verdict_on(doubtful, hearing(Heard.NOTHING)) is Verdict.INCONCLUSIVE
    assert verdict_on(doubtful, hearing(Heard.SILENCE)) is Verdict.FAIL


def test_where_nobody_can_be_asked_heartbeats_have_to_say_it_for_longer() -> None:
    told = Told(heard=Heard.NOTHING_TO_COMPARE)
    assert verdict_on(HANGING, told) is Verdict.INCONCLUSIVE
    assert verdict_on(HANGING.model_copy(update={"watched": LEAST_WATCHED_ALONE}), told) is Verdict.FAIL


def test_an_activity_that_current_did_not_serve_may_take_its_time() -> None:
    long_one = Work(calls=0, running=600)
    assert verdict_on(HANGING, hearing(Heard.ANSWER, new=long_one)) is Verdict.INCONCLUSIVE
    assert verdict_on(HANGING, hearing(Heard.ANSWER, new=long_one, m=Work(running=60))) is Verdict.FAIL


def test_one_long_call_or_lengths_that_current_has_too_are_no_slowness() -> None:
    one_long = Work(calls=20, busy=4, running=15)
    assert verdict_on(HANGING, hearing(Heard.ANSWER, m=one_long)) is Verdict.INCONCLUSIVE
    mixed = Told(
        heard=Heard.ANSWER,
        candidate={"m": Work(calls=2, busy=1, running=40)},
        current={"m": Work(calls=20, busy=30, p50=0.1, p95=14.0)},
    )
    assert verdict_on(HANGING, mixed) is Verdict.INCONCLUSIVE


def test_a_build_that_takes_ten_times_as_long_is_slow_and_one_that_takes_twice_is_not() -> None:
    slow = hearing(Heard.ANSWER, m=Work(calls=20, busy=40))
    twice = hearing(Heard.ANSWER, m=Work(calls=20, busy=8))
    assert verdict_on(Tally(calls=30, busy=90, watched=9), slow) is Verdict.FAIL
    assert verdict_on(Tally(calls=30, busy=90, watched=9), twice) is Verdict.PASS
    assert verdict_on(Tally(calls=30, busy=20, watched=9), slow) is Verdict.PASS


def test_slowness_needs_a_current_build_to_compare_with() -> None:
    assert judge(Tally(calls=30, busy=900, watched=60), NONE, NONE, OPTIONS).verdict is Verdict.PASS


@given(calls=st.integers(1, 3000), rate=st.floats(0.001, 0.9), data=st.data())
def test_the_chance_is_a_falling_tail(calls: int, rate: float, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, calls - 1)) if calls > 1 else 0
    assert 0.0 <= chance(failed + 1, calls, rate) <= chance(failed, calls, rate) <= 1.0


@pytest.mark.parametrize(
    ("failed", "calls", "rate", "expected"),
    [(1, 1, 0.02, 0.02), (2, 2, 0.5, 0.25), (4, 20, 0.02, 0.00060), (0, 9, 0.1, 1.0), (3, 3, 0.0, 0.0)],
)
def test_the_chance_is_the_binomial_one(failed: int, calls: int, rate: float, expected: float) -> None:
    assert chance(failed, calls, rate) == pytest.approx(expected, rel=0.02)


@given(st.integers(0, 500), st.integers(0, 500))
def test_it_never_passes_a_build_that_fails_more_than_is_borne(calls: int, failed: int) -> None:
    tally = Tally(calls=calls, failed=min(failed, calls))
    found = judge(tally, NONE, NONE, OPTIONS).verdict
    if found is Verdict.PASS:
        assert tally.calls >= OPTIONS.min_calls
        assert tally.rate <= borne(OPTIONS, ())


def test_counters_are_summed_from_where_they_stood_over_processes_that_come_and_go() -> None:
    meter = Meter().read([worker("a", 100, 10)], START)
    assert meter.before == Tally(calls=100, failed=10)
    meter = meter.read([worker("a", 105, 11)], START + timedelta(seconds=1))
    meter = meter.read([worker("b", 7, 7)], START + timedelta(seconds=2))
    assert (meter.tally.calls, meter.tally.failed) == (12, 8)


def test_busy_is_the_time_that_slots_were_in_use() -> None:
    meter = Meter().read([worker("a", 0)], START)
    meter = meter.read([worker("a", 0, used=3), worker("b", 0, used=1)], START + timedelta(seconds=2))
    assert meter.tally.busy == pytest.approx(8.0)


def at(p50: float, p95: float | None = None) -> dict[str, Work]:
    return {"m": Work(p50=p50, p95=p50 if p95 is None else p95)}


def by_figures(candidate: dict[str, Work], current: dict[str, Work]) -> Verdict:
    told = Told(candidate=candidate, current=current)
    return judge(Tally(calls=100), Tally(calls=100), NONE, OPTIONS, told).verdict


@pytest.mark.parametrize(
    ("candidate", "current", "expected"),
    [
        (at(0.5), at(0.05), Verdict.FAIL),
        (at(0.2), at(0.05), Verdict.PASS),
        (at(0.1), at(0.01), Verdict.PASS),  # a busy machine does as much
        (at(0.5), at(0.05, 0.6), Verdict.PASS),  # Current has such calls too
        (at(60), at(10), Verdict.FAIL),
        (at(0.5), {}, Verdict.PASS),
        ({}, at(0.05), Verdict.PASS),
        ({"other": Work(p50=9, p95=9)}, at(0.05), Verdict.PASS),
    ],
)
def test_workers_own_figures_show_slowness_below_a_second(
    candidate: dict[str, Work], current: dict[str, Work], expected: Verdict
) -> None:
    assert by_figures(candidate, current) is expected


SECONDS = st.floats(0.0, 1000.0)


@given(ours=SECONDS, more=SECONDS, theirs=SECONDS)
def test_no_build_is_slow_that_is_not_much_slower_in_every_way(
    ours: float, more: float, theirs: float
) -> None:
    found = by_figures(at(theirs), at(ours, ours + more))
    is_bearable = theirs <= OPTIONS.max_slowdown * ours or theirs <= ours + more
    if is_bearable or theirs <= ours + LEAST_SLOWER:
        assert found is Verdict.PASS
    else:
        assert found is Verdict.FAIL


@given(calls=st.integers(0, 300), failed=st.integers(0, 300), known=st.booleans())
def test_figures_of_latency_never_speak_for_a_build(calls: int, failed: int, known: bool) -> None:
    tally = Tally(calls=calls, failed=min(calls, failed))
    without = judge(tally, NONE, NONE, OPTIONS).verdict
    slow = Told(candidate=at(9), current=at(1) if known else {})
    assert judge(tally, NONE, NONE, OPTIONS, slow).verdict is (Verdict.FAIL if known else without)
