"""What a release may do in the state it finds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import errors
from pipeline.deployments import Deployment, Status, Version
from pipeline.models import Commit
from pipeline.rollout.messages import Quarantine
from pipeline.rollout.policy import (
    Begin,
    InFlight,
    batch_targets,
    begin,
    promised,
    refuse_older,
    refuse_quarantined,
    roll_back_target,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
LINE = ["a" * 40, "b" * 40, "c" * 40]
"""Three commits, each built upon the one before."""


def is_ancestor(older: str, newer: str) -> bool | None:
    return LINE.index(older) <= LINE.index(newer) if {older, newer} <= set(LINE) else None


def commit(sha: str) -> Commit:
    return Commit(sha=sha, time=START, author="R", subject="s", repo="r")


def running(sha: str, *, alive: bool = True) -> InFlight:
    return InFlight(build_id="x-1", sha=sha, task_queue="q", host_is_alive=alive)


def version(build_id: str, left: int | None, *, was_current: bool = True) -> Version:
    return Version(
        build_id=build_id,
        status=Status.DRAINED,
        created=START,
        first_active=START,
        current_since=None,
        last_current=START if was_current else None,
        deactivated=START + timedelta(minutes=left) if left is not None else None,
    )


def deployment(current: str | None, *versions: Version) -> Deployment:
    return Deployment(
        name="a",
        conflict_token=b"",
        current=current,
        current_since=START,
        ramping=None,
        ramp_percentage=0,
        ramping_since=None,
        propagated=True,
        manager="",
        last_modifier="",
        versions=versions,
    )


def nothing_is_quarantined(build_id: str) -> bool:
    return False


def test_nothing_in_flight_is_a_fresh_start() -> None:
    assert begin("a", commit(LINE[1]), None, is_ancestor) is Begin.FRESH


@pytest.mark.parametrize("other", LINE)
def test_a_release_whose_host_is_dead_is_taken_over(other: str) -> None:
    assert begin("a", commit(LINE[1]), running(other, alive=False), is_ancestor) is Begin.TAKE_OVER


def test_a_newer_commit_takes_over() -> None:
    assert begin("a", commit(LINE[2]), running(LINE[1]), is_ancestor) is Begin.TAKE_OVER


def test_no_push_ends_a_roll_back() -> None:
    back = running(LINE[0]).model_copy(update={"is_roll_back": True})
    with pytest.raises(errors.ReleaseInFlight, match="roll-back"):
        begin("a", commit(LINE[1]), back, is_ancestor)
    dead = back.model_copy(update={"host_is_alive": False})
    assert begin("a", commit(LINE[1]), dead, is_ancestor) is Begin.TAKE_OVER


def test_an_older_commit_gives_way() -> None:
    with pytest.raises(errors.OlderCommit):
        begin("a", commit(LINE[0]), running(LINE[1]), is_ancestor)


@pytest.mark.parametrize("other", [LINE[1], "d" * 40])
def test_the_same_or_an_unrelated_commit_waits(other: str) -> None:
    with pytest.raises(errors.ReleaseInFlight):
        begin("a", commit(LINE[1]), running(other), is_ancestor)


def test_an_older_commit_over_a_newer_live_one_needs_force() -> None:
    with pytest.raises(errors.OlderCommit):
        refuse_older(commit(LINE[0]), LINE[2], is_ancestor, force=False)
    refuse_older(commit(LINE[0]), LINE[2], is_ancestor, force=True)
    refuse_older(commit(LINE[2]), LINE[2], is_ancestor, force=False)
    refuse_older(commit(LINE[2]), LINE[0], is_ancestor, force=False)


def test_a_quarantined_build_needs_force() -> None:
    quarantine = Quarantine(reason="wrong speakers", by="me", at=START)
    with pytest.raises(errors.Quarantined, match="quarantined") as refused:
        refuse_quarantined("x-1", quarantine, force=False)
    assert "wrong speakers" in refused.value.why
    refuse_quarantined("x-1", quarantine, force=True)
    refuse_quarantined("x-1", None, force=False)


def test_what_a_build_was_stopped_for_is_approved_later() -> None:
    quarantine = Quarantine(reason="it breaks callers", by="me", at=START, unless="00ca35e6f337")
    with pytest.raises(errors.Quarantined) as refused:
        refuse_quarantined("x-1", quarantine, force=False, approvals=("111111111111",))
    assert "--approve 00ca35e6f337 and --reason" in refused.value.now
    refuse_quarantined("x-1", quarantine, force=False, approvals=("00ca35e6f337",))
    with pytest.raises(errors.Quarantined):
        refuse_quarantined(
            "x-1", quarantine.model_copy(update={"unless": ""}), force=False, approvals=("00ca35e6f337",)
        )


def test_the_roll_back_goes_to_the_build_that_was_current_last() -> None:
    seen = deployment(
        "now",
        version("old", 1),
        version("last", 5),
        version("now", None),
        version("never", 9, was_current=False),
    )
    assert roll_back_target(seen, None, nothing_is_quarantined) == ("last", "now")


def test_the_roll_back_passes_over_quarantined_builds() -> None:
    seen = deployment("now", version("old", 1), version("last", 5), version("now", None))
    assert roll_back_target(seen, None, lambda build: build == "last") == ("old", "now")


def test_callers_rely_on_the_contract_of_current_else_on_that_of_the_newest_placeholder() -> None:
    old, new = version("placeholder-old", 1), version("placeholder-new", None, was_current=False)
    new = new.model_copy(update={"created": START + timedelta(minutes=1)})
    assert promised(deployment("placeholder-old", new, old)) == "placeholder-old"
    assert promised(deployment(None, new, old, version("real", 2))) == "placeholder-new"
    assert promised(deployment(None, version("real", 2))) is None


def test_the_roll_back_goes_to_a_placeholder_only_where_it_is_named() -> None:
    seen = deployment("now", version("old", 1), version("placeholder-a", 5), version("now", None))
    assert roll_back_target(seen, None, nothing_is_quarantined) == ("old", "now")
    assert roll_back_target(seen, "placeholder-a", nothing_is_quarantined) == ("placeholder-a", "now")


def test_a_named_build_may_be_quarantined_or_never_current() -> None:
    seen = deployment("now", version("never", 1, was_current=False), version("now", None))
    assert roll_back_target(seen, "nev", lambda build: True) == ("never", "now")


@pytest.mark.parametrize(
    ("current", "wanted", "error"),
    [
        (None, None, errors.NothingToRollBackTo),
        ("only", None, errors.NothingToRollBackTo),
        ("only", "only", errors.NothingToRollBackTo),
        ("only", "other", errors.UnknownBuild),
    ],
)
def test_what_cannot_be_rolled_back_to(
    current: str | None, wanted: str | None, error: type[errors.ConduitError]
) -> None:
    with pytest.raises(error):
        roll_back_target(deployment(current, version("only", None)), wanted, nothing_is_quarantined)


@given(
    left=st.lists(st.integers(0, 1000), min_size=1, max_size=8, unique=True),
    quarantined=st.sets(st.integers(0, 7)),
)
def test_the_roll_back_never_chooses_the_present_nor_a_quarantined_build(
    left: list[int], quarantined: set[int]
) -> None:
    versions = [version(f"b{index}", minutes) for index, minutes in enumerate(left)]
    bad = {f"b{index}" for index in quarantined}
    seen = deployment("b0", *versions)
    try:
        target, _ = roll_back_target(seen, None, bad.__contains__)
    except errors.NothingToRollBackTo:
        assert {v.build_id for v in versions} - {"b0"} <= bad
    else:
        assert target != "b0"
        assert target not in bad


def test_batch_calls_go_back_to_the_last_promoted_build_that_took_them() -> None:
    own = deployment("b3", version("b0", 1), version("b1", 2), version("b2", 3), version("b3", None))
    batch = deployment("b3", version("b1", 2), version("b2", 3), version("b3", None))
    assert batch_targets(batch, own, "b3") == ["b2", "b1"]


def test_batch_calls_stay_where_they_are_if_that_build_is_not_left() -> None:
    own = deployment("b3", version("b1", 2), version("b2", 3), version("b3", None))
    batch = deployment("b1", version("b1", None), version("b2", 9))
    assert batch_targets(batch, own, "b3") == ["b1", "b2"]


def test_a_build_that_a_cut_off_release_left_with_batch_calls_is_the_last_choice() -> None:
    own = deployment("b1", version("b1", None), version("b2", 3, was_current=False))
    batch = deployment("b2", version("b1", 2), version("b2", None))
    assert batch_targets(batch, own, "b3") == ["b1", "b2"]
    assert batch_targets(batch, own, "b2") == ["b1"]
    assert batch_targets(deployment("b2", version("b2", None)), own, "b3") == ["b2"]


def test_no_placeholder_gets_batch_calls_back() -> None:
    seen = deployment("b1", version("placeholder-a", 3), version("b1", None))
    assert batch_targets(seen, seen, "b1") == []
