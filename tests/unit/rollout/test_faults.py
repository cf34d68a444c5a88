"""What people read of a release that failed."""

import pytest

from pipeline.rollout.faults import after_undo
from pipeline.rollout.plan import Fault


def fault(error: str = "WorkerDied") -> Fault:
    return Fault(error=error, what="A worker died.", why="Nobody knows.", log="its log", by_the_build=True)


@pytest.mark.parametrize(
    ("error", "live", "why"),
    [
        ("WorkerDied", "b1", "Nobody knows. All calls go to build b1."),
        ("WorkerDied", None, "Nobody knows. No build is live."),
        ("RoutingChanged", "b1", "Nobody knows."),
    ],
)
def test_what_was_put_back_is_said(error: str, live: str | None, why: str) -> None:
    told = after_undo(fault(error), live, ["one call recovered"])
    assert (told.why, told.log) == (why, "its log\none call recovered")
