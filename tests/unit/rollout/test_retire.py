"""Which builds are past retention, and which of them can go."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.deployments import Deployment
from pipeline.rollout.messages import RetireRequest
from pipeline.rollout.pending import PendingCall
from pipeline.rollout.retire import Retirement, at_work, lineage, plan
from tests.unit.rollout.test_judge import worker
from tests.unit.rollout.test_policy import START, deployment, version

NONE: frozenset[str] = frozenset()
LATER = START + timedelta(days=1)


def planned(
    seen: Deployment,
    started: set[str],
    *,
    keep: int = 2,
    quarantined: frozenset[str] = NONE,
    busy: frozenset[str] = NONE,
    spare: tuple[str, ...] = (),
    routed: frozenset[str] = NONE,
) -> Retirement:
    return plan(
        lineage(seen, quarantined),
        RetireRequest(algorithm="a", keep=keep, spare=spare),
        routed=routed,
        at_work=busy,
        started_here=frozenset(started),
        alive=frozenset(started),
    )


def line(count: int) -> Deployment:
    """So many builds that were Current one after the other; the last one is."""
    return deployment(
        f"b{count - 1}", *(version(f"b{n}", n if n + 1 < count else None) for n in range(count))
    )


def test_the_last_good_builds_before_current_stay_and_older_ones_go() -> None:
    assert planned(line(6), {f"b{n}" for n in range(6)}).stop == ("b0", "b1", "b2")


def test_a_quarantined_build_does_not_count_as_good() -> None:
    made = planned(line(5), {f"b{n}" for n in range(5)}, quarantined=frozenset({"b3"}))
    assert made.stop == ("b0", "b3")


def test_a_build_that_calls_go_to_stays_however_old_it_is() -> None:
    assert planned(line(6), {f"b{n}" for n in range(6)}, routed=frozenset({"b0"})).stop == ("b1", "b2")


@given(count=st.integers(1, 60), quarantined=st.sets(st.integers(0, 59)), current=st.booleans())
def test_what_was_read_before_a_promotion_tells_what_is_read_after_it(
    count: int, quarantined: set[int], current: bool
) -> None:
    bad = {f"b{n}" for n in quarantined} - {f"b{count}"}
    before = line(count) if current else line(count).model_copy(update={"current": None})
    new = version("new", None, was_current=False).model_copy(update={"created": LATER})
    registered = before.model_copy(update={"versions": (*before.versions, new)})
    left = [
        v.model_copy(update={"deactivated": LATER} if v.build_id == before.current else {})
        for v in before.versions
    ]
    after = before.model_copy(
        update={"current": "new", "versions": (*left, new.model_copy(update={"last_current": LATER}))}
    )
    assert lineage(before, bad).promoted("new") == lineage(after, bad)
    assert lineage(registered, bad).promoted("new") == lineage(after, bad)


def test_a_build_at_work_is_left_for_later() -> None:
    made = planned(line(5), {"b0", "b1"}, busy=frozenset({"b0"}))
    assert (made.stop, made.busy) == (("b1",), ("b0",))


def test_what_is_spared_ramping_or_was_never_current() -> None:
    seen = line(3).model_copy(
        update={
            "ramping": "ramping",
            "versions": (*line(3).versions, version("ramping", None), version("never", 1, was_current=False)),
        }
    )
    assert planned(seen, {"ramping", "never", "spared"}, spare=("spared",)).stop == ("never",)


def test_versions_are_deleted_only_where_there_are_too_many() -> None:
    assert planned(line(10), set()).delete == ()
    assert planned(line(50), set()).delete == ()
    assert planned(line(57), set()).delete == tuple(f"b{n}" for n in range(7))


@given(
    count=st.integers(1, 80),
    keep=st.integers(0, 5),
    started=st.sets(st.integers(0, 79)),
    busy=st.sets(st.integers(0, 79)),
    quarantined=st.sets(st.integers(0, 79)),
)
def test_current_and_what_is_at_work_or_alive_never_goes(
    count: int, keep: int, started: set[int], busy: set[int], quarantined: set[int]
) -> None:
    seen = line(count)
    names = {f"b{n}" for n in started}
    at = frozenset(f"b{n}" for n in busy)
    bad = frozenset(f"b{n}" for n in quarantined)
    made = planned(seen, names, keep=keep, quarantined=bad, busy=at)
    assert seen.current not in made.stop
    assert seen.current not in made.delete
    assert not at & set(made.stop)
    assert not (names - set(made.stop)) & set(made.delete)
    good = [f"b{n}" for n in reversed(range(count - 1)) if n not in quarantined][:keep]
    assert not set(good) & {*made.stop, *made.delete}


def test_a_build_is_at_work_while_a_slot_is_in_use_or_a_call_is_with_it() -> None:
    call = PendingCall(
        workflow_id="w", run_id="r", activity_id="1", activity="m", attempt=1, build_id="c", running=True
    )
    waiting = call.model_copy(update={"build_id": "d", "running": False})
    assert at_work(
        [worker("k", 9, used=1), worker("l", 9).model_copy(update={"build_id": "idle"})], [call, waiting]
    ) == {"b", "c"}
