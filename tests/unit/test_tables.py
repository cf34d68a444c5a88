"""Tables as people read them, on a terminal of 80 columns."""

from datetime import UTC, datetime

import pytest

from pipeline.commands import tables
from pipeline.commands.history import Event
from pipeline.commands.status import AlgorithmStatus, BuildStatus, Live
from pipeline.deployments import Status

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GOOD, BAD = "6459068e2c62-9814c4", "placeholder-1b7a3c9d0e5f"


def build(build_id: str, quarantined: str | None = None) -> BuildStatus:
    return BuildStatus(
        build_id=build_id,
        commit="f" * 40,
        author="A Researcher of Note",
        subject="Hear pitch too, and forget what was enrolled twice",
        status=Status.DRAINING,
        quarantined=quarantined,
        workers=12,
        processed=123456,
        failed=1234,
    )


FOUND = AlgorithmStatus(
    algorithm="speaker-id",
    current=Live(build_id=GOOD, commit=None, author=None, since=AT),
    ramping=None,
    propagated=True,
    builds=(build(GOOD), build(BAD, "wrong\nspeakers")),
)


def test_builds_fit_a_terminal_and_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    headline, *table, quarantined = tables.status(FOUND)
    assert headline == tables.headline(FOUND)
    assert max(map(len, table)) <= 80
    assert [line for line in table if GOOD in line and "123456" in line]
    assert quarantined == f"quarantined {BAD}: wrong speakers"


def test_an_event_says_what_and_below_it_through_whom_and_why() -> None:
    event = Event(
        at=AT,
        action="release",
        build_id=BAD,
        outcome="failed",
        author="Rita",
        by="ci\n",
        reason="",
        fault="Bad.",
    )
    assert tables.history([event]) == [
        f"2026-01-02 03:04:05 UTC  release  {BAD}  failed",
        "    by ci; commit by Rita; Bad.",
    ]
    assert tables.history([]) == []
