"""GitHub's refusals, as its documentation gives them: waited out, or said in words; never a red release."""

import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from pipeline.github.answers import Patience
from pipeline.github.page_models import Check, DeploymentStatus
from pipeline.github.pages import Pages
from pipeline.release_report import Failure, ReleaseReport
from tests.integration.github.conftest import PATIENCE
from tests.parts.github_api import Door, Trouble
from tests.parts.ports import free_port

Environment = Callable[..., dict[str, str]]

REPOSITORY = "acme/speaker-id"
STATUS = DeploymentStatus(
    algorithm="speaker-id",
    build_id="1f1f1f1f1f1f-abcdef",
    commit="1f" * 20,
    state="success",
    description="Live",
)
PRIMARY = {"message": "API rate limit exceeded for installation ID 1.", "documentation_url": "…"}
SECONDARY = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
}
FORBIDDEN = {"message": "Resource not accessible by integration"}
INVALID = {
    "message": "Validation Failed",
    "errors": [
        {"resource": "DeploymentStatus", "code": "custom", "field": "state", "message": "No such state"}
    ],
}


@pytest.fixture
def pages(described: Door, as_job: Environment) -> Pages:
    return Pages(as_job(described, REPOSITORY), patience=PATIENCE)


def soon() -> str:
    return str(int(time.time()) + 1)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, PRIMARY),
        (429, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, PRIMARY),
        (403, {"retry-after": "1"}, SECONDARY),
        (429, {"retry-after": "1"}, SECONDARY),
        (403, {}, SECONDARY),
        (500, {}, {}),
        (502, {}, {"message": "Server Error"}),
        (503, {}, {"message": "Service unavailable"}),
        (504, {}, {"message": "We couldn't respond to your request in time."}),
        (0, {}, {}),
    ],
)
def test_what_passes_is_waited_out(
    described: Door, pages: Pages, status: int, headers: dict[str, str], body: dict[str, Any]
) -> None:
    given = {name: soon() if value == "soon" else value for name, value in headers.items()}
    times = 2 if status >= 500 else 1
    described.troubles.append(
        Trouble(on="POST /statuses", status=status, headers=given, body=body, times=times)
    )
    pages.deployment(STATUS)
    assert pages.left_out == ()
    assert described.troubles[0].times == 0
    assert described.made[-1].endswith("/statuses")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (
            Trouble(status=401, body={"message": "Bad credentials"}),
            ("401: Bad credentials", "make a new one"),
        ),
        (
            Trouble(
                status=403,
                headers={"X-Accepted-GitHub-Permissions": "deployments=write; administration=write"},
                body=FORBIDDEN,
            ),
            ("not accessible by integration", "permissions:\n  deployments: write"),
        ),
        (
            Trouble(status=403, body=FORBIDDEN),
            ("not accessible by integration", "grant it in the job's `permissions`"),
        ),
        (
            Trouble(status=404, body={"message": "Not Found"}),
            ("404: Not Found", "whether the token may see it"),
        ),
        (Trouble(status=409, body={"message": "Conflict"}), ("409: Conflict",)),
        (Trouble(status=422, body=INVALID), ("422: Validation Failed; No such state",)),
    ],
)
def test_what_does_not_pass_is_said_at_once(
    described: Door, pages: Pages, trouble: Trouble, said: tuple[str, ...]
) -> None:
    described.troubles.append(replace(trouble, times=9))
    pages.deployment(STATUS)
    (left_out,) = pages.left_out
    assert left_out.startswith("the deployment: GitHub did not take the deployment.")
    for words in said:
        assert words in left_out
    assert described.troubles[0].times == 8, "it was asked once"


def test_a_wait_that_is_too_long_is_not_begun(described: Door, pages: Pages) -> None:
    reset = str(int(time.time()) + 3000)
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
    described.troubles.append(
        Trouble(on="GET /deployments", status=403, headers=headers, body=PRIMARY, times=9)
    )
    pages.deployment(STATUS)
    assert "rate limit of this token is used up: run the job again after" in pages.left_out[0]
    assert described.troubles[0].times == 8


def test_trouble_that_stays_ends_with_the_patience(described: Door, as_job: Environment) -> None:
    pages = Pages(as_job(described, REPOSITORY), patience=Patience(total=0.3, first_pause=0.05))
    described.troubles.append(Trouble(on="GET /deployments", status=503, body={}, times=1000))
    pages.deployment(STATUS)
    assert "an error of its own (503)" in pages.left_out[0]
    assert described.troubles[0].times < 999


def test_a_github_that_is_not_there(as_job: Environment, described: Door) -> None:
    job = as_job(described, REPOSITORY) | {"GITHUB_API_URL": f"http://127.0.0.1:{free_port()}"}
    pages = Pages(job, patience=Patience(total=0.1, first_pause=0.05))
    pages.deployment(STATUS)
    assert "no answer came" in pages.left_out[0]


@pytest.mark.parametrize("body", [b"<html>oops</html>", b"[]", b"null", b'{"url": 7}'])
def test_an_answer_that_is_none_leaves_the_page_out(described: Door, pages: Pages, body: bytes) -> None:
    described.examples |= {"GET /deployments": body, "POST /deployments": body}
    pages.deployment(STATUS)
    assert len(pages.left_out) == 1


def test_the_summary_says_what_was_left_out(described: Door, as_job: Environment, tmp_path: Path) -> None:
    written, stdout = tmp_path / "summary.md", StringIO()
    job = as_job(described, REPOSITORY, GITHUB_STEP_SUMMARY=str(written))
    pages = Pages(job, patience=PATIENCE, stdout=stdout)
    described.troubles.append(Trouble(on="GET /deployments", status=403, body=FORBIDDEN, times=9))
    pages.deployment(STATUS)
    failure = Failure(what="Tests failed.", why="1 of 2", now="Run `pytest`.", log="E assert")
    pages.error(failure)
    pages.summary(ReleaseReport(algorithm="speaker-id", decision="failed", failure=failure))
    markdown = written.read_text()
    assert "Tests failed" in markdown
    assert "### Left out" in markdown
    assert "Resource not accessible by integration" in markdown
    assert stdout.getvalue() == "::error title=conduit::Tests failed.%0A1 of 2%0ARun `pytest`.\n"


def test_a_check_without_the_permission_is_left_out(described: Door, pages: Pages) -> None:
    described.troubles.append(Trouble(on="POST /check-runs", status=403, body=FORBIDDEN, times=9))
    described.examples["GET /check-runs"] = {"total_count": 0, "check_runs": []}
    pages.check(Check(name="conduit", conclusion="success", title="Passed", summary="…"))
    assert pages.left_out[0].startswith("the check run: ")
