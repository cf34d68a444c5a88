"""Pages where there is no GitHub: everything still runs and says what it left out."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.commands.onboard import onboard
from pipeline.errors import ConduitError, InvalidValue, NoGitHubToken
from pipeline.github.check_run import batches
from pipeline.github.comment import marker
from pipeline.github.page_models import Annotation, Check, DeploymentStatus
from pipeline.github.pages import Pages
from pipeline.release_report import Failure, ReleaseReport
from tests.unit.github.test_context import ON_GITHUB, pull_request, with_event

STATUS = DeploymentStatus(
    algorithm="speaker-id", build_id="a-b", commit="1f" * 20, state="success", description="Live"
)
CHECK = Check(name="conduit", conclusion="success", title="Passed", summary="…")
REPORT = ReleaseReport(algorithm="speaker-id", decision="promoted")


def show_all(pages: Pages) -> None:
    pages.deployment(STATUS)
    pages.rolled_back(STATUS, bad="c-d")
    pages.check(CHECK)
    pages.comment("contract speaker-id", "…")
    pages.outputs({"build-id": "a-b"})
    pages.error(Failure(what="x"))
    pages.summary(REPORT)


def test_off_github_all_is_left_out_for_one_reason() -> None:
    stdout = StringIO()
    pages = Pages({}, stdout=stdout)
    show_all(pages)
    assert pages.left_out == (
        "the deployment, the check run, the comment, the outputs, the annotation, the job summary: "
        "not on GitHub Actions",
    )
    assert stdout.getvalue() == ""


def test_without_a_token_the_files_are_written(tmp_path: Path) -> None:
    files = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "output")}
    pages = Pages({**ON_GITHUB, **files, "GITHUB_TOKEN": ""}, stdout=StringIO())
    show_all(pages)
    assert pages.left_out == ("the deployment, the check run: the job has no GITHUB_TOKEN",)
    assert "build-id<<" in (tmp_path / "output").read_text()
    summary = (tmp_path / "summary").read_text()
    assert "the job has no GITHUB\\_TOKEN" in summary
    assert "conduit-rollback.yml" not in summary, "there is nothing to undo"


def test_on_a_pull_request_from_a_fork_nothing_is_written(tmp_path: Path) -> None:
    pages = Pages(with_event(tmp_path, pull_request("eve/speaker-id")))
    pages.check(CHECK)
    pages.comment("contract speaker-id", "…")
    assert pages.left_out == (
        "the check run, the comment: a pull request from a fork has a token that may only read",
    )


def test_an_environment_that_is_not_githubs_leaves_all_out() -> None:
    pages = Pages({**ON_GITHUB, "GITHUB_REPOSITORY": "; id"})
    pages.deployment(STATUS)
    assert "cannot be read" in pages.left_out[0]


def test_a_file_that_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    folder = str(tmp_path)
    pages = Pages({**ON_GITHUB, "GITHUB_STEP_SUMMARY": folder, "GITHUB_OUTPUT": folder})
    pages.outputs({"build-id": "a-b"})
    pages.summary(REPORT)
    assert [left_out.partition(":")[0] for left_out in pages.left_out] == ["the outputs, the job summary"]


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (1, [1]), (50, [50]), (51, [50, 1]), (100, [50, 50])])
def test_batches(count: int, sizes: list[int]) -> None:
    made = list(batches([Annotation(path="a.py", line=1, message="x")] * count))
    assert [len(batch) for batch, _ in made] == sizes
    assert [last for _, last in made] == [False] * (len(sizes) - 1) + [True]


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x"])
def test_an_annotation_is_on_a_file_of_the_repo(path: str) -> None:
    with pytest.raises(ValidationError):
        Annotation(path=path, line=1, message="x")


@pytest.mark.parametrize("key", ["x -->", "a--b", "<", "a\nb"])
def test_a_marker_cannot_be_ended(key: str) -> None:
    with pytest.raises(ValueError, match="cannot mark"):
        marker(key)


@pytest.mark.parametrize(
    ("repository", "environment", "path", "error"),
    [
        ("acme", {"GH_TOKEN": "x"}, "", InvalidValue),
        ("acme/x; id", {"GH_TOKEN": "x"}, "", InvalidValue),
        ("acme/x", {"GH_TOKEN": "x", "GITHUB_API_URL": "ftp://x"}, "", InvalidValue),
        ("acme/x", {"GH_TOKEN": "x"}, "../y", InvalidValue),
        ("acme/x", {"GH_TOKEN": "x"}, "/etc", InvalidValue),
        ("acme/x", {}, "", NoGitHubToken),
    ],
)
def test_onboarding_refuses_what_it_cannot_use(
    repository: str, environment: dict[str, str], path: str, error: type[ConduitError]
) -> None:
    with pytest.raises(error) as refused:
        onboard(repository, environment, path=path)
    assert refused.value.now


def test_pygithub_is_imported_only_where_github_is_called() -> None:
    program = (
        "import sys, pipeline.commands.onboard, pipeline.github.pages as p; p.Pages({}).deployment;"
        "print([name for name in ('github', 'requests', 'tenacity') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
