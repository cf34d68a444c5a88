"""Logs that are cut while they are written to."""

import os
from pathlib import Path

import pytest

from pipeline.worker import log

APPENDED = os.O_RDWR | os.O_CREAT | os.O_APPEND


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log that is large beyond a hundred bytes."""
    monkeypatch.setattr(log, "LARGEST", 100)
    monkeypatch.setattr(log, "KEPT", 30)
    return tmp_path / "1.log"


def test_the_end_of_a_large_log_is_kept_and_written_on(file: Path) -> None:
    writer = os.open(file, APPENDED)
    for number in range(9):
        os.write(writer, b"line %d of it\n" % number)
        log.cut(writer)
    os.write(writer, b"the last\n")
    os.close(writer)
    assert file.read_text().splitlines() == [*(f"line {kept} of it" for kept in (6, 7, 8)), "the last"]


def test_a_small_log_and_a_line_without_an_end_are_left(file: Path) -> None:
    writer = os.open(file, APPENDED)
    os.write(writer, 100 * b"x")
    log.cut(writer)
    assert file.stat().st_size == 100
    os.write(writer, b"x")
    log.cut(writer)
    os.close(writer)
    assert file.read_text() == 30 * "x"
