"""Every call that we make, request and answer, against GitHub's own OpenAPI description."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.github.client import Client
from pipeline.github.onboard import onboard
from pipeline.github.page_models import Annotation, Check, DeploymentStatus, State
from pipeline.github.pages import Pages
from tests.integration.github.conftest import PATIENCE
from tests.parts.github_api import Door, Trouble

REPOSITORY = "acme/speaker-id"
DEPLOYMENTS = "/repos/{owner}/{repo}/deployments"
STATUSES = f"{DEPLOYMENTS}/{{deployment_id}}/statuses"
CHECKS = "/repos/{owner}/{repo}/check-runs"
COMMENTS = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
GIT = "/repos/{owner}/{repo}/git"
PULLS = "/repos/{owner}/{repo}/pulls"
STATUS = DeploymentStatus(
    algorithm="speaker-id",
    build_id="1f1f1f1f1f1f-abcdef",
    commit="1f" * 20,
    state="in_progress",
    description="Releasing for @octocat\nnow " + "x" * 200,
    ui_url="http://127.0.0.1:8233/namespaces/default/worker-deployments/speaker-id",
)

Environment = Callable[..., dict[str, str]]


@pytest.fixture
def pages(described: Door, as_job: Environment) -> Pages:
    return Pages(as_job(described, REPOSITORY), patience=PATIENCE)


@pytest.mark.parametrize("state", ["in_progress", "success", "failure", "inactive"])
def test_a_deployment_follows_the_release(described: Door, pages: Pages, state: State) -> None:
    pages.deployment(STATUS.model_copy(update={"state": state}))
    assert pages.left_out == ()
    assert described.made == [f"GET {DEPLOYMENTS}", f"POST {STATUSES}"]
    body = described.calls[-1].body
    assert (body["state"], body["environment_url"]) == (state, STATUS.ui_url)
    assert body["log_url"] == f"https://git.example/{REPOSITORY}/actions/runs/42"
    assert len(body["description"]) == 140
    assert "@octocat" not in body["description"]


def test_a_deployment_is_made_where_there_is_none(described: Door, pages: Pages) -> None:
    described.examples["GET /deployments"] = []
    pages.deployment(STATUS)
    assert pages.left_out == ()
    assert described.made == [f"GET {DEPLOYMENTS}", f"POST {DEPLOYMENTS}", f"POST {STATUSES}"]
    asked, made = described.calls[0], described.calls[1]
    assert "environment=speaker-id" in asked.path
    assert "task=conduit%3A1f1f1f1f1f1f-abcdef" in asked.path
    assert made.body["ref"] == STATUS.commit
    assert (made.body["environment"], made.body["task"]) == ("speaker-id", "conduit:1f1f1f1f1f1f-abcdef")
    assert (made.body["auto_merge"], made.body["required_contexts"]) == (False, [])


def test_a_roll_back_shows_one_deployment_live_and_the_other_inactive(described: Door, pages: Pages) -> None:
    pages.rolled_back(STATUS.model_copy(update={"state": "success"}), bad="2e2e2e2e2e2e-abcdef")
    assert pages.left_out == ()
    live, ended = (call.body for call in described.calls if call.method == "POST")
    assert (live["state"], ended["state"]) == ("success", "inactive")
    assert "1f1f1f1f1f1f-abcdef" in ended["description"]


def test_annotations_are_sent_in_batches_that_github_takes(described: Door, pages: Pages) -> None:
    described.examples["GET /check-runs"] = {"total_count": 0, "check_runs": []}
    faults = [
        Annotation(path="src/speaker_id/model.py", line=n, title="Failed @all", message=f"{n}\n\x1b[31mred")
        for n in range(1, 122)
    ]
    check = Check(
        name="conduit / verify",
        conclusion="failure",
        title="2 failed",
        summary="…",
        annotations=tuple(faults),
    )
    begun = {
        "output": {"annotations_count": 0},
        "id": 7,
        "url": f"{described.url}/repos/{REPOSITORY}/check-runs/7",
    }
    described.examples["POST /check-runs"] = begun
    pages.check(check)
    assert pages.left_out == ()
    edits = [call.body for call in described.calls if call.method == "PATCH"]
    assert [len(edit["output"]["annotations"]) for edit in edits] == [50, 50, 21]
    assert [edit.get("conclusion") for edit in edits] == [None, None, "failure"]
    lines = [annotation["start_line"] for edit in edits for annotation in edit["output"]["annotations"]]
    assert lines == list(range(1, 122))
    assert {"\x1b", "@all"}.isdisjoint(str(edits[0]["output"]["annotations"][0]).split())


def test_a_check_without_annotations_is_completed(described: Door, pages: Pages) -> None:
    pages.check(Check(name="conduit / verify", conclusion="success", title="Passed", summary="All passed."))
    assert pages.left_out == ()
    commit_checks = "/repos/{owner}/{repo}/commits/{ref}/check-runs"
    assert described.made == [f"GET {commit_checks}", f"POST {CHECKS}", f"PATCH {CHECKS}/{{check_run_id}}"]


def test_a_comment(described: Door, as_job: Environment, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    head = {"sha": "2e" * 20, "repo": {"full_name": REPOSITORY}}
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": head}}))
    job = as_job(described, REPOSITORY, GITHUB_EVENT_PATH=str(event))
    pages = Pages(job, patience=PATIENCE)
    pages.comment("contract speaker-id", "Nothing breaks.")
    assert pages.left_out == ()
    assert described.made == [f"GET {COMMENTS}", f"POST {COMMENTS}"]


SOURCE = "from temporalio import activity\n@activity.defn\ndef f() -> None: ...\n"
FILES = [
    {"path": "src/a.py", "type": "blob", "mode": "100644", "size": len(SOURCE), "sha": "3d" * 20},
    {"path": "src", "type": "tree", "mode": "040000", "sha": "4c" * 20},
    {"path": "vendor", "type": "commit", "mode": "160000", "sha": "5b" * 20},
]


@pytest.fixture
def research_repo(described: Door) -> Door:
    """The description's examples hold no Python."""
    described.examples["GET /git/trees/*"] = {"sha": "6a" * 20, "tree": FILES, "truncated": False}
    described.examples["GET /git/blobs/*"] = {"content": base64.b64encode(SOURCE.encode()).decode()}
    return described


def test_onboarding(research_repo: Door, as_person: Callable[[Door], Client]) -> None:
    research_repo.troubles.append(Trouble(on="GET /heads/conduit/onboard", status=404))
    research_repo.examples["GET /pulls"] = []
    onboarded = onboard(as_person(research_repo), REPOSITORY, toolkit="acme/algorithm-conduit@v1")
    assert onboarded.outcome == "opened"
    assert onboarded.pull_request == "https://github.com/octocat/Hello-World/pull/1347"
    assert research_repo.made[-5:] == [
        f"POST {GIT}/trees",
        f"POST {GIT}/commits",
        f"POST {GIT}/refs",
        f"GET {PULLS}",
        f"POST {PULLS}",
    ]


def test_onboarding_again(research_repo: Door, as_person: Callable[[Door], Client]) -> None:
    research_repo.examples["GET /git/commits/*"] = {
        "sha": "7f" * 20,
        "message": "Deliver this algorithm through the conduit",
        "tree": {"sha": "8e" * 20},
    }
    onboarded = onboard(as_person(research_repo), REPOSITORY, toolkit="acme/algorithm-conduit@v1")
    assert onboarded.outcome == "updated"
    assert research_repo.made[-5:] == [
        f"POST {GIT}/trees",
        f"POST {GIT}/commits",
        f"PATCH {GIT}/refs/{{ref}}",
        f"GET {PULLS}",
        f"PATCH {PULLS}/{{pull_number}}",
    ]
