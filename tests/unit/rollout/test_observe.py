"""When an observation has seen enough, and which workers are heard."""

import asyncio
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from pipeline.deployments import Deployments
from pipeline.gates import Verdict
from pipeline.options.release import ReleaseOptions
from pipeline.rollout.judge import Count, Heard, Meter, Tally, Told
from pipeline.rollout.latencies import RESOLVED
from pipeline.rollout.messages import Counters, ObserveRequest, Reference
from pipeline.rollout.observe import Beats, Observer, Seen, begun_at, conclusion, has_its_calls
from pipeline.rollout.pending import PendingCall
from pipeline.rollout.plan import Observe, Stage
from pipeline.rollout.troubled import MOST_KEPT
from pipeline.runtimes import Runtime
from tests.unit.rollout.test_judge import START, worker
from tests.unit.rollout.test_policy import deployment


def request(how: Observe, reference: Tally | None = None, current: str = "old") -> ObserveRequest:
    return ObserveRequest(
        candidate=Reference(algorithm="a", build_id="new"),
        current=current,
        reference=reference or Tally(),
        counters=Counters(),
        options=ReleaseOptions(),
        how=how,
        stage=Stage.RAMP,
        percent=50,
        since=START,
        replicas=1,
    )


def meter(calls: int, failed: int = 0, busy: float = 0.0) -> Meter:
    none = {"k": Count(processed=0, failed=0)}
    return Meter(since=none, latest={"k": Count(processed=calls, failed=failed)}, busy=busy, at=START)


def seen(calls: int, failed: int = 0, current: int = 50, busy: float = 0.0) -> Seen:
    return Seen(candidate=meter(calls, failed, busy), current=meter(current))


STEP = Observe(least=30, most=60, quiet=8)


def verdict(elapsed: float, what: Seen, how: Observe = STEP) -> Verdict | None:
    judged = conclusion(request(how), what, elapsed)
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
    judged = conclusion(request(how, before), failing, 61)
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


def test_a_doubtful_build_is_not_let_pass_by_a_time_that_is_over() -> None:
    how = Observe(least=10, most=10)
    hanging = seen(0, current=50)
    hanging = hanging.model_copy(
        update={"candidate": hanging.candidate.model_copy(update={"busy": 60.0, "watched": 9.0})}
    )
    assert verdict(11, hanging, how) is None
    silent = hanging.model_copy(update={"told": Told(heard=Heard.SILENCE)})
    assert verdict(20, silent, how) is Verdict.FAIL
    assert verdict(11 + RESOLVED, hanging, how) is Verdict.INCONCLUSIVE


def test_a_placeholder_is_no_measure_of_how_long_calls_take() -> None:
    """It goes on answering for a moment when the real algorithm takes over, a hundred times as fast."""
    real = seen(30, current=100, busy=90).model_copy(update={"told": Told(heard=Heard.NOTHING_TO_COMPARE)})
    real = real.model_copy(update={"candidate": real.candidate.model_copy(update={"watched": 40.0})})
    how = Observe(least=60, most=60)
    after_placeholder = conclusion(request(how, current="placeholder-old"), real, 61)
    assert after_placeholder is not None
    assert after_placeholder.verdict is Verdict.PASS
    assert verdict(61, real, how) is Verdict.FAIL


def test_what_is_gathered_stays_small_however_many_calls_there_are() -> None:
    """The server takes two megabytes in a heartbeat; beyond them it ends the observation."""
    what = seen(0)
    for look in range(40):
        calls = [
            PendingCall(
                workflow_id=f"order-{uuid.uuid4()}",
                run_id=str(uuid.uuid4()),
                activity_id="1",
                activity="m",
                attempt=4,
                build_id=build,
                timed_out=late,
            )
            for build, late in [("new", True), ("old", True), ("old", False)] * 70
        ]
        what = what.with_calls(calls, "new", "old", excused=look % 2 == 0)
    assert len(what.model_dump_json()) < 1_000_000
    assert len(what.workflows) == MOST_KEPT


@pytest.mark.parametrize("skew", [-3600, 0, 3600])
def test_how_long_an_observation_lasts_is_told_by_the_servers_time(skew: int) -> None:
    """That of this machine may be an hour ahead: a build would be promoted unjudged."""
    since = datetime.now(UTC) + timedelta(seconds=skew)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=since + timedelta(seconds=7))

    async def begun() -> float:
        return begun_at(request(STEP).model_copy(update={"since": since}))

    ago = time.monotonic() - asyncio.run(environment.run(begun))
    assert ago == pytest.approx(7, abs=1)


class NotKnown:
    """Temporal without the deployment."""

    async def describe(self, name: str) -> None:
        return None


@pytest.mark.parametrize(("others", "restarted"), [(2, False), (0, True)])
async def test_workers_that_another_machine_started_are_none_that_crash(others: int, restarted: bool) -> None:
    there = {str(n): Count(processed=0, failed=0) for n in range(2 + others)}
    asked = request(STEP).model_copy(
        update={"counters": Counters(candidate=Meter(since=there)), "replicas": 2}
    )
    beats = Beats()
    for second in range(2):
        at = START + timedelta(seconds=second)
        beats.read([worker(str(n), 0).model_copy(update={"heartbeat": at}) for n in range(4)], second)
    runtime = SimpleNamespace(workers=lambda _: (), log=lambda *_: "")
    observer = Observer(cast(Client, None), cast(Deployments, NotKnown()), cast(Runtime, runtime))
    fault = await observer._fault(asked, beats, Beats(), 1.0, is_due=False, is_stalled=False)
    assert (fault is not None) is restarted


@pytest.mark.parametrize(
    ("stage", "current", "ramping", "waits", "expected"),
    [
        (Stage.RAMP, "old", "new", False, True),
        (Stage.RAMP, "new", None, False, True),
        (Stage.RAMP, "old", None, False, False),
        (Stage.RAMP, "old", None, True, True),
        (Stage.OFFLINE, "new", None, False, True),
        (Stage.OFFLINE, "old", None, False, False),
        (Stage.OFFLINE, "old", None, True, True),
        (Stage.WATCH, "new", None, False, True),
        (Stage.WATCH, "old", None, False, False),
        (Stage.WATCH, "third", "new", True, False),
        (Stage.PROMOTE, "old", None, True, True),
    ],
)
def test_calls_that_were_routed_elsewhere_by_hand_are_missed(
    stage: Stage, current: str, ramping: str | None, waits: bool, expected: bool
) -> None:
    """Else a build that was taken back in Temporal's UI while it was watched would be told to be live."""
    asked = request(STEP.model_copy(update={"waits_for_a_person": waits})).model_copy(update={"stage": stage})
    routing = deployment(current).model_copy(update={"ramping": ramping})
    assert has_its_calls(asked, routing) is expected
