"""`conduit comment` reads a file that may be a stranger's."""

import json
from pathlib import Path

import pytest

from pipeline.commands.comment import LARGEST, comment
from pipeline.commands.session import Session
from pipeline.commands.verify import Verified
from pipeline.errors import NotVerified
from pipeline.report import Report
from pipeline.worker.contract import Contract

VERIFIED = Verified(algorithm="voice", commit=40 * "a", tests="1 passed", contract=Contract(activities=()))


def session(**environment: str) -> Session:
    return Session(environment=environment, report=Report(quiet=True))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        b" " * (LARGEST + 1),
        json.dumps({**VERIFIED.model_dump(), "algorithm": "$(id)"}).encode(),
        json.dumps({**VERIFIED.model_dump(), "commit": "HEAD; id"}).encode(),
        json.dumps({**VERIFIED.model_dump(), "evil": 1}).encode(),
    ],
)
def test_what_is_no_result_of_verify_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "verified.json"
    file.write_bytes(content)
    with pytest.raises(NotVerified):
        comment(session(), file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotVerified):
        comment(session(), tmp_path / "none")


def test_off_github_it_says_what_it_left_out(tmp_path: Path) -> None:
    file = tmp_path / "verified.json"
    file.write_text(VERIFIED.model_dump_json())
    done = comment(session(), file)
    assert done.left_out == ("the comment, the job summary: not on GitHub Actions",)
    assert "Nobody calls it yet" in done.lines()[0]


def test_in_a_job_the_summary_has_it_too(tmp_path: Path) -> None:
    file, summary = tmp_path / "verified.json", tmp_path / "summary"
    file.write_text(VERIFIED.model_dump_json())
    job = session(
        GITHUB_ACTIONS="true",
        GITHUB_REPOSITORY="acme/voice",
        GITHUB_SHA=40 * "a",
        GITHUB_API_URL="http://127.0.0.1:9",
        GITHUB_SERVER_URL="https://git.example",
        GITHUB_RUN_ID="1",
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert comment(job, file).left_out == ()  # it is about no pull request
    assert "Nobody calls it yet" in summary.read_text()
