"""What people read of a release that failed."""

from collections.abc import Callable

import pytest
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError

from pipeline import errors
from pipeline.rollout.faults import after_undo, fault_of_step
from pipeline.rollout.plan import Fault


def fault(error: str = "WorkerDied") -> Fault:
    return Fault(error=error, what="A worker died.", why="Nobody knows.", log="its log", by_the_build=True)


@pytest.mark.parametrize(
    ("error", "live", "why"),
    [
        ("WorkerDied", "b1", "Nobody knows. All calls go to build b1."),
        ("WorkerDied", None, "Nobody knows. No build is live."),
        ("RoutingChanged", "b1", "Nobody knows."),
        ("Superseded", "b1", "Nobody knows."),
    ],
)
def test_what_was_put_back_is_said(error: str, live: str | None, why: str) -> None:
    told = after_undo(fault(error), live, ["one call recovered"])
    assert (told.why, told.log) == (why, "its log\none call recovered")


def test_what_was_put_back_is_a_sentence_of_its_own() -> None:
    told = after_undo(fault().model_copy(update={"why": "1 breaking change"}), "b1", [])
    assert told.why == "1 breaking change. All calls go to build b1."


def failed_step(cause: BaseException) -> ActivityError:
    """What a workflow sees of a step that failed by `cause`."""
    told = ActivityError(
        "Activity task failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="conduit.start",
        activity_id="1",
        retry_state=None,
    )
    told.__cause__ = cause
    return told


def timed_out(cause: BaseException) -> TimeoutError:
    told = TimeoutError("no time for another try", type=None, last_heartbeat_details=[])
    told.__cause__ = cause
    return told


@pytest.mark.parametrize("wrap", [lambda cause: cause, timed_out], ids=["refused", "tried until the end"])
def test_a_step_that_cannot_be_done_says_why(wrap: Callable[[BaseException], BaseException]) -> None:
    error = errors.RuntimeUnavailable("The engine does not answer.", why="refused", now="Start it.")
    carried = ApplicationError(error.what, error.fields(), type="RuntimeUnavailable")
    told = fault_of_step(failed_step(wrap(carried)))
    assert (told.error, told.what, told.by_the_build) == ("RuntimeUnavailable", error.what, False)


def test_a_step_that_failed_for_another_reason_is_not_the_builds_fault() -> None:
    told = fault_of_step(failed_step(ApplicationError("list index out of range", type="IndexError")))
    assert (told.error, told.by_the_build) == ("TemporalRefused", False)
    assert "list index out of range" in told.why
