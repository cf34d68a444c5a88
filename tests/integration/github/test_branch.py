"""A release that is run again, or approved late, whose commit a forced push took off its branch since."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import errors
from pipeline.commands.release import Expected, Wishes, release
from pipeline.commands.session import Session
from pipeline.github.pages import Pages
from pipeline.report import Report
from tests.integration.github.conftest import PATIENCE
from tests.parts.github_api import Door, Trouble
from tests.unit.build.test_record import RECORD, write

REPOSITORY = "acme/speaker-id"
COMPARE = "GET /repos/{owner}/{repo}/compare/{basehead}"
SHA = RECORD.commit.sha


@pytest.fixture
def job(described: Door, as_job: Callable[..., dict[str, str]]) -> dict[str, str]:
    more = {"GITHUB_REF": "refs/heads/release/1#x", "TEMPORAL_ADDRESS": "127.0.0.1:1"}
    return as_job(described, REPOSITORY, SHA, **more)


def compared(described: Door, status: str) -> None:
    described.examples["GET /compare/*"] = {"status": status}


def test_the_answer_is_as_githubs_description_has_it(described: Door, job: dict[str, str]) -> None:
    pages = Pages(job, patience=PATIENCE)
    assert not pages.has_left_its_branch(SHA)  # its example is "behind"
    assert pages.left_out == ()


def released(job: dict[str, str], folder: Path, **wishes: Any) -> str:
    session = Session(job, Report(quiet=True))
    file = write(folder, RECORD.model_dump_json())
    return asyncio.run(release(session, file, Expected(), Wishes(**wishes))).decision


@pytest.mark.parametrize("status", ["diverged", "ahead"])
def test_it_is_not_released(described: Door, job: dict[str, str], tmp_path: Path, status: str) -> None:
    compared(described, status)
    assert released(job, tmp_path) == "superseded"
    assert described.made == [COMPARE]
    assert f"/compare/release/1%23x...{SHA}" in described.calls[0].path


@pytest.mark.parametrize("status", ["identical", "behind"])
def test_one_that_the_branch_still_has_goes_on(
    described: Door, job: dict[str, str], tmp_path: Path, status: str
) -> None:
    compared(described, status)
    with pytest.raises(errors.TemporalUnreachable):
        released(job, tmp_path)


def test_whoever_forces_it_is_not_asked(described: Door, job: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(errors.TemporalUnreachable):
        released(job, tmp_path, force=True, reason="r")
    assert described.calls == []


@pytest.mark.parametrize("more", [{"GITHUB_SHA": "3e" * 20}, {"GITHUB_REF": "refs/tags/v1"}])
def test_only_the_commit_of_a_branchs_own_job_is_looked_at(
    described: Door, job: dict[str, str], more: dict[str, str]
) -> None:
    assert not Pages({**job, **more}).has_left_its_branch(SHA)
    assert described.calls == []


@pytest.mark.parametrize("status", [404, 503])
def test_a_github_that_does_not_say_stops_nothing(described: Door, job: dict[str, str], status: int) -> None:
    described.troubles.append(Trouble(status=status, times=1000))
    pages = Pages(job, patience=PATIENCE.model_copy(update={"total": 0.1}))
    assert not pages.has_left_its_branch(SHA)
    assert pages.left_out
    described.troubles.clear()
