"""When an observation has seen enough, and which workers are heard."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.gates import Verdict
from pipeline.options.release import ReleaseOptions
from pipeline.rollout.judge import Count, Meter, Tally
from pipeline.rollout.messages import Counters, ObserveRequest, Reference
from pipeline.rollout.observe import Beats, Seen, conclusion
from pipeline.rollout.pending import PendingCall
from pipeline.rollout.plan import Observe, Stage
from tests.unit.rollout.test_judge import START, worker


def request(elapsed: float, how: Observe, reference: Tally | None = None) -> ObserveRequest:
    return ObserveRequest(
        candidate=Reference(algorithm="a", build_id="new"),
        current="old",
        reference=reference or Tally(),
        counters=Counters(),
        options=ReleaseOptions(),
        how=how,
        stage=Stage.RAMP,
        percent=50,
        since=datetime.now(UTC) - timedelta(seconds=elapsed),
        replicas=1,
    )


def meter(calls: int, failed: int = 0, busy: float = 0.0) -> Meter:
    none = {"k": Count(processed=0, failed=0)}
    return Meter(since=none, latest={"k": Count(processed=calls, failed=failed)}, busy=busy, at=START)


def seen(calls: int, failed: int = 0, current: int = 50, busy: float = 0.0) -> Seen:
    return Seen(candidate=meter(calls, failed, busy), current=meter(current))


STEP = Observe(least=30, most=60, quiet=8)


def verdict(elapsed: float, what: Seen, how: Observe = STEP) -> Verdict | None:
    judged = conclusion(request(elapsed, how), what)
    return judged.verdict if judged else None


@pytest.mark.parametrize(
    ("elapsed", "what", "expected"),
    [
        (1, seen(5, 5), Verdict.FAIL),
        (29, seen(100), None),
        (31, seen(100), Verdict.PASS),
        (31, seen(3), None),
        (61, seen(3), Verdict.INCONCLUSIVE),
        (31, seen(0, current=0), Verdict.INCONCLUSIVE),
        (9, seen(0, current=0), Verdict.INCONCLUSIVE),
        (9, seen(0, current=0, busy=2), None),
        (7, seen(0, current=0), None),
    ],
)
def test_an_observation_ends_when_it_has_seen_enough(
    elapsed: float, what: Seen, expected: Verdict | None
) -> None:
    assert verdict(elapsed, what) is expected


def test_only_a_failure_ends_the_wait_for_a_person() -> None:
    how = Observe(least=3600, most=3600, waits_for_a_person=True)
    assert verdict(100, seen(500), how) is None
    assert verdict(100, seen(0, current=0), how) is None
    assert verdict(100, seen(9, 9), how) is Verdict.FAIL
    assert verdict(3601, seen(500), how) is not None


def test_after_promotion_it_is_compared_with_what_current_did_in_the_ramp() -> None:
    how = Observe(least=60, most=60)
    failing = seen(40, 12, current=0)
    before = Tally(calls=100, failed=30)
    judged = conclusion(request(61, how, before), failing)
    assert judged is not None
    assert judged.verdict is Verdict.PASS
    assert verdict(61, failing, how) is Verdict.FAIL


def call(build_id: str, attempt: int = 2, *, running: bool = False) -> PendingCall:
    return PendingCall(
        workflow_id=f"w{attempt}",
        run_id="r",
        activity_id="1",
        activity="m",
        attempt=attempt,
        build_id=build_id,
        timed_out=True,
        running=running,
    )


def test_attempts_that_the_server_gave_up_count_once_each_as_failed() -> None:
    what = seen(0)
    for _ in range(2):
        what = what.with_calls(
            [call("new", 2), call("new", 3), call("new", 4, running=True)], "new", "old", excused=False
        )
    assert what.tally(what.candidate, "new") == Tally(calls=2, failed=2)
    assert len(what.workflows) == 3


def test_what_had_timed_out_before_is_not_the_candidates_doing() -> None:
    what = seen(0).with_calls([call("new")], "new", "old", excused=True)
    what = what.with_calls([call("new")], "new", "old", excused=False)
    assert what.tally(what.candidate, "new") == Tally()
    what = what.with_calls([call("new", 3)], "new", "old", excused=False)
    assert what.tally(what.candidate, "new") == Tally(calls=1, failed=1)


def test_a_worker_is_silent_when_its_heartbeat_stops_and_was_heard_before() -> None:
    beats = Beats()
    old, later = worker("a", 0), worker("a", 0).model_copy(update={"heartbeat": START + timedelta(seconds=1)})
    beats.read([old, worker("dead", 0)], 0.0)
    assert beats.heard == 0
    beats.read([later, worker("dead", 0)], 1.0)
    assert beats.heard == 1
    assert not beats.silent(10.0, 10.0)
    assert beats.silent(11.5, 10.0)
    assert beats.all_silent(11.5, 10.0)
    assert not Beats().all_silent(99.0, 10.0)
