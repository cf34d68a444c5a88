"""What a command shows on GitHub: one mechanism for all of them, against GitHub's own OpenAPI description."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import errors
from pipeline.commands.session import Session
from pipeline.commands.showing import Story, shown
from pipeline.github.answers import Patience
from pipeline.report import Report
from tests.parts.github_api import Door, Trouble
from tests.unit.build.test_record import RECORD

REPOSITORY = "acme/speaker-id"
LOG = "tests/test_model.py:12: AssertionError: loud is not quiet\n::stop-commands::x"
UI = "http://127.0.0.1:8233"
MINE = f"{UI}/namespaces/default/worker-deployments/speaker-id"


@pytest.fixture
def session(described: Door, as_job: Callable[..., dict[str, str]], tmp_path: Path) -> Session:
    """A job's session; its summary and outputs are files of the test's folder."""
    files = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "output")}
    job = as_job(described, REPOSITORY, CONDUIT_TEMPORAL_UI=UI, **files)
    return Session(environment=job, report=Report())


def promoted(story: Story) -> None:
    story.releasing(RECORD)
    with story.session.report.step("promote"):
        story.decision, story.previous = "promoted", "2e2e2e2e2e2e-abcdef"
    story.live, story.undo = (RECORD.build_id, None), "conduit rollback speaker-id"


def failing(session: Session, error: Exception) -> None:
    with shown(session) as story:
        story.releasing(RECORD)
        raise error


def bodies(door: Door, path: str) -> list[Any]:
    return [call.body for call in door.calls if call.method in {"POST", "PATCH"} and path in call.path]


def outputs(folder: Path) -> dict[str, str]:
    lines = (folder / "output").read_text().splitlines()
    return {lines[i].partition("<<")[0]: lines[i + 1] for i in range(0, len(lines), 3)}


def test_a_release_is_followed_to_its_good_end(described: Door, session: Session, tmp_path: Path) -> None:
    with shown(session) as story:
        promoted(story)
    states = [body["state"] for body in bodies(described, "/statuses")]
    assert states == ["in_progress", "success"]
    assert {body["environment_url"] for body in bodies(described, "/statuses")} == {MINE}
    assert bodies(described, "/check-runs")[-1]["conclusion"] == "success"
    summary = (tmp_path / "summary").read_text()
    for said in ("is live", "conduit rollback speaker-id", "<code>promote</code>", f"({MINE})"):
        assert said in summary
    assert outputs(tmp_path) == {
        "decision": "promoted",
        "algorithm": "speaker-id",
        "build-id": RECORD.build_id,
        "image": f"{RECORD.artifact.repository}@{RECORD.artifact.digest}",  # type: ignore[union-attr]
        "repository": RECORD.artifact.repository,  # type: ignore[union-attr]
        "digest": RECORD.artifact.digest,
    }


def test_a_release_that_fails_is_shown_with_its_cause_and_lines(
    described: Door, session: Session, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    described.examples["GET /check-runs"] = {"total_count": 0, "check_runs": []}
    run = f"{described.url}/repos/{REPOSITORY}/check-runs/7"
    described.examples["POST /check-runs"] = {"output": {"annotations_count": 0}, "id": 7, "url": run}
    with pytest.raises(errors.TestsFailed):
        failing(session, errors.TestsFailed("The repo's tests failed.", now="Mend them.", log=LOG))
    assert [body["state"] for body in bodies(described, "/statuses")] == ["in_progress", "failure"]
    check = bodies(described, "/check-runs")[-1]
    assert check["conclusion"] == "failure"
    assert [(fault["path"], fault["start_line"]) for fault in check["output"]["annotations"]] == [
        ("tests/test_model.py", 12)
    ]
    assert "The repo's tests failed" in (tmp_path / "summary").read_text().replace("\\", "")
    assert outputs(tmp_path)["decision"] == "failed"
    printed = capfd.readouterr().err.splitlines()
    assert (
        "::error file=tests/test_model.py,line=12,title=Failed::AssertionError: loud is not quiet" in printed
    )
    assert not any(line.startswith("::stop-commands") for line in printed)


def test_what_was_not_foreseen_is_shown_too(described: Door, session: Session, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        failing(session, ZeroDivisionError())
    assert [body["state"] for body in bodies(described, "/statuses")] == ["in_progress", "failure"]
    assert "did not foresee" in (tmp_path / "summary").read_text()


def test_a_newer_release_ends_the_deployment_without_a_failure(described: Door, session: Session) -> None:
    with pytest.raises(errors.Superseded):
        failing(session, errors.Superseded("The release was ended by somebody else."))
    assert [body["state"] for body in bodies(described, "/statuses")] == ["in_progress", "inactive"]
    assert bodies(described, "/check-runs")[-1]["conclusion"] == "skipped"


def test_a_release_that_a_controller_goes_on_with_is_not_said_to_be_live(
    described: Door, session: Session
) -> None:
    with shown(session) as story:
        story.releasing(RECORD)
        story.decision = "begun"
    assert [body["state"] for body in bodies(described, "/statuses")] == ["in_progress", "in_progress"]
    assert bodies(described, "/check-runs")[-1]["conclusion"] == "neutral"


def test_a_fault_of_the_pages_own_fails_no_command(
    session: Session, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.commands.showing.summary", lambda *_, **__: 1 / 0)
    with shown(session) as story:
        promoted(story)
    assert "left out on GitHub: ZeroDivisionError" in capfd.readouterr().err


def test_a_roll_back_shows_what_is_live_again_and_what_is_not(
    described: Door, session: Session, tmp_path: Path
) -> None:
    with shown(session) as story:
        story.releasing(RECORD)
        story.rolled_back, story.decision = "2e2e2e2e2e2e-abcdef", "rolled-back"
    states = [body["state"] for body in bodies(described, "/statuses")]
    assert states == ["in_progress", "success", "inactive"]
    assert bodies(described, "/check-runs") == []
    assert "2e2e2e2e2e2e-abcdef of speaker-id was rolled back" in (tmp_path / "summary").read_text()


def test_a_github_in_trouble_turns_no_release_red_and_is_waited_for_once(
    described: Door, session: Session, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    described.troubles.append(Trouble(status=503, body={}, times=1000))
    with shown(session, Patience(total=0.3, first_pause=0.05)) as story:
        story.releasing(RECORD)
        asked = 1000 - described.troubles[0].times
        promoted(story)
    assert asked > 1
    assert 1000 - described.troubles[0].times == asked + 3, "the later pages are tried once each"
    printed = capfd.readouterr().err
    assert "left out: the deployment: GitHub did not take the deployment." in printed
    assert "left out: the check run: GitHub did not take the check run." in printed
    assert "is live" in (tmp_path / "summary").read_text()
    assert outputs(tmp_path)["decision"] == "promoted"
