"""The job's context: what GitHub writes is read, what it would not write is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import GitHubContextInvalid
from pipeline.github.context import read_context

ON_GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "acme/speaker-id",
    "GITHUB_SHA": "1f" * 20,
    "GITHUB_API_URL": "https://api.git.example",
    "GITHUB_SERVER_URL": "https://git.example",
    "GITHUB_RUN_ID": "42",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_ACTOR": "ada",
    "GITHUB_STEP_SUMMARY": "/tmp/summary",  # noqa: S108
    "GITHUB_OUTPUT": "/tmp/output",  # noqa: S108
    "GITHUB_TOKEN": "s3cret",
}


def with_event(folder: Path, event: Any) -> dict[str, str]:
    path = folder / "event.json"
    path.write_text(json.dumps(event))
    return {**ON_GITHUB, "GITHUB_EVENT_PATH": str(path)}


def pull_request(origin: str | None) -> dict[str, Any]:
    repo = {"full_name": origin} if origin else None
    return {"pull_request": {"number": 7, "head": {"sha": "2e" * 20, "repo": repo}}}


def test_off_github_there_is_none() -> None:
    assert read_context({}) is None
    assert read_context({**ON_GITHUB, "GITHUB_ACTIONS": "false"}) is None


def test_a_push() -> None:
    context = read_context(ON_GITHUB)
    assert context is not None
    assert context.run_url == "https://git.example/acme/speaker-id/actions/runs/42"
    assert (context.head_sha, context.pull_request) == ("1f" * 20, None)
    assert context.token is not None
    assert context.token.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(context)


@pytest.mark.parametrize(
    ("caller", "file"),
    [
        ("", "conduit-rollback.yml"),
        ("acme/speaker-id/.github/workflows/conduit.yml@refs/heads/main", "conduit-rollback.yml"),
        ("acme/speaker-id/.github/workflows/conduit-rollback.yml@refs/heads/main", "conduit-rollback.yml"),
        ("acme/speaker-id/.github/workflows/conduit-voice.yml@refs/heads/main", "conduit-voice-rollback.yml"),
        ("acme/speaker-id/.github/workflows/ci.yml@refs/heads/main", "conduit-rollback.yml"),
        ("acme/speaker-id/.github/workflows/conduit-)[x](y.yml@refs/heads/main", "conduit-rollback.yml"),
    ],
)
def test_the_roll_back_button_belongs_to_the_workflow_that_called(caller: str, file: str) -> None:
    context = read_context({**ON_GITHUB, "GITHUB_WORKFLOW_REF": caller})
    assert context is not None
    assert context.rollback_url == f"https://git.example/acme/speaker-id/actions/workflows/{file}"


def test_without_a_token_or_files_it_is_read_too() -> None:
    context = read_context(
        {name: value for name, value in ON_GITHUB.items() if not value.startswith(("/", "s3"))}
    )
    assert context is not None
    assert (context.token, context.summary_path, context.output_path) == (None, None, None)


@pytest.mark.parametrize(
    ("origin", "fork"), [("acme/speaker-id", False), ("eve/speaker-id", True), (None, True)]
)
def test_a_pull_request_is_shown_on_the_commit_that_was_pushed(
    tmp_path: Path, origin: str | None, *, fork: bool
) -> None:
    context = read_context(with_event(tmp_path, pull_request(origin)))
    assert context is not None
    assert context.pull_request is not None
    assert (context.pull_request.number, context.pull_request.from_fork) == (7, fork)
    assert context.head_sha == "2e" * 20


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GITHUB_REPOSITORY", "acme"),
        ("GITHUB_REPOSITORY", "acme/speaker-id/../x"),
        ("GITHUB_REPOSITORY", "../x"),
        ("GITHUB_REPOSITORY", "acme/speaker-id\n"),
        ("GITHUB_SHA", "main"),
        ("GITHUB_API_URL", "https://user@git.example"),
        ("GITHUB_API_URL", "file:///etc/passwd"),
        ("GITHUB_SERVER_URL", "https://git.example/)[x](y"),
        ("GITHUB_RUN_ID", "0"),
        ("GITHUB_RUN_ID", "$(id)"),
    ],
)
def test_what_github_would_not_write_is_refused(variable: str, value: str) -> None:
    with pytest.raises(GitHubContextInvalid) as refused:
        read_context({**ON_GITHUB, variable: value})
    assert variable.removeprefix("GITHUB_").lower() in refused.value.why
    assert "s3cret" not in str(refused.value.fields())


@pytest.mark.parametrize(
    "event",
    [
        [],
        {"pull_request": None},
        {"pull_request": {"number": 7}},
        {"pull_request": {"number": "x; id", "head": {"sha": "2e" * 20, "repo": None}}},
        {"pull_request": {"number": 7, "head": {"sha": "main", "repo": None}}},
        {"pull_request": {"number": 7, "head": {"sha": "2e" * 20, "repo": "x"}}},
    ],
)
def test_an_event_of_another_shape_is_refused(tmp_path: Path, event: Any) -> None:
    with pytest.raises(GitHubContextInvalid):
        read_context(with_event(tmp_path, event))


def test_an_event_that_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text("[" * 100_000)
    with pytest.raises(GitHubContextInvalid):
        read_context({**ON_GITHUB, "GITHUB_EVENT_PATH": str(tmp_path / "event.json")})


@given(st.dictionaries(st.sampled_from([*ON_GITHUB][1:-3]), st.text(), min_size=1))
def test_any_environment_is_read_or_refused(changed: dict[str, str]) -> None:
    try:
        context = read_context({**ON_GITHUB, **changed})
    except GitHubContextInvalid:
        return
    assert context is not None
    assert "\n" not in context.run_url
