import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from pipeline import errors
from pipeline.worker.failures import FailureName
from pipeline.worker.phases import MAX_WHY, enter, last_phase


def line(**fields: object) -> str:
    complete = {"conduit": "phase", "phase": "setup", "at": "2026-01-02T03:04:05Z", **fields}
    return json.dumps(complete, separators=(",", ":"))


def test_what_is_written_is_read_back(capfd: pytest.CaptureFixture[str]) -> None:
    enter("importing")
    enter("failed", error="SetupFailed", why="no such\nmodel")
    phase = last_phase(capfd.readouterr().err)
    assert phase
    assert (phase.phase, phase.error, phase.why) == ("failed", "SetupFailed", "no such model")


def test_a_long_reason_is_cut_to_what_is_read_back(capfd: pytest.CaptureFixture[str]) -> None:
    enter("failed", error="ImportFailed", why="ä" * 100_000)
    phase = last_phase(capfd.readouterr().err)
    assert phase
    assert phase.why == "ä" * MAX_WHY


def test_the_last_phase_wins_over_what_follows_it() -> None:
    phase = last_phase("\n".join([line(phase="importing"), line(phase="setup"), "Traceback", '{"conduit":']))
    assert phase
    assert phase.phase == "setup"


@pytest.mark.parametrize("before", ["2026-01-02T03:04:05Z ", "loading 99 %"])
def test_text_before_the_line_is_skipped(before: str) -> None:
    assert last_phase(before + line())


@pytest.mark.parametrize(
    "imitation",
    [
        "",
        "no phase here",
        line(phase="promoted"),
        line(error="$(reboot)"),
        line(why="x" * (MAX_WHY + 1)),
        line(why="x" * 1_000_000),
        line(at="yesterday"),
        line(at="2026-01-02T03:04:05"),
        line(extra="field"),
        line() + "}",
        '{"conduit":"phase"' + "[" * 100_000,
    ],
)
def test_a_line_that_is_not_one_of_ours_is_no_phase(imitation: str) -> None:
    assert last_phase(imitation) is None


def test_every_failure_of_the_host_is_an_error_of_the_toolkit() -> None:
    assert set(get_args(FailureName)) <= set(errors.all_errors())


def test_a_log_that_takes_no_more_does_not_end_the_worker() -> None:
    """Least of all while it hands its calls back."""
    code = "from pipeline.worker.phases import enter; enter('stopping')"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stderr=full, check=False)
    assert done.returncode == 0
