"""Where this job runs: GitHub Actions' environment, read once and checked."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, StringConstraints, ValidationError

from pipeline.errors import GitHubContextInvalid
from pipeline.models import Sha, Value

RepositoryName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_.-]{1,100}$")
]
# No user part: a token would go to whatever stands behind an @.
Url = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._/-]*)?$")]

# The workflows that `conduit onboard` adds; in a repo with several algorithms each has its own.
CALLER = re.compile(r"/\.github/workflows/conduit(?P<suffix>[a-z0-9-]*?)(?:-rollback)?\.yml@")

# GitHub's own limit for an event is 25 MiB.
LARGEST_EVENT = 25 * 1024 * 1024


class PullRequest(Value):
    """The pull request that an event is about."""

    number: int = Field(ge=1)
    head_sha: Sha
    from_fork: bool = Field(description="its job holds a token that may only read")


class GitHubContext(Value):
    """One job of GitHub Actions. Text in it is checked, but may still be a stranger's."""

    repository: RepositoryName
    sha: Sha = Field(description="what was checked out; for a pull request its merge with the base")
    api_url: Url
    server_url: Url
    run_id: int = Field(ge=1)
    run_attempt: int = Field(default=1, ge=1)
    ref: str = Field(default="", max_length=1000, description="what was pushed, as refs/heads/main")
    workflow_ref: str = Field(
        default="", max_length=1000, description="the caller's file, not the called one's"
    )
    token: SecretStr | None = None
    summary_path: Path | None = None
    output_path: Path | None = None
    pull_request: PullRequest | None = None

    @property
    def run_url(self) -> str:
        """This run's page."""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"

    @property
    def head_sha(self) -> str:
        """The commit that a person pushed, on which a check run is shown."""
        return self.pull_request.head_sha if self.pull_request else self.sha

    @property
    def rollback_url(self) -> str:
        """The page with the "Roll back" button of the algorithm that this job is about."""
        caller = CALLER.search(self.workflow_ref)
        file = f"conduit{caller['suffix'] if caller else ''}-rollback.yml"
        return f"{self.server_url}/{self.repository}/actions/workflows/{file}"


def read_context(environment: Mapping[str, str]) -> GitHubContext | None:
    """Read the job's context, or None off GitHub Actions.

    Args:
        environment: the process's variables. The file that `GITHUB_EVENT_PATH` names is read.

    Raises:
        GitHubContextInvalid: a variable or the event is not what GitHub writes.
    """
    if environment.get("GITHUB_ACTIONS") != "true":
        return None
    try:
        return GitHubContext.model_validate(
            _variables(environment) | {"pull_request": _pull_request(environment)}
        )
    except ValidationError as invalid:
        # The values are not repeated: one of them may be the token.
        fields = ", ".join(sorted({".".join(map(str, error["loc"])) for error in invalid.errors()}))
        raise GitHubContextInvalid(
            "GitHub Actions' environment cannot be read.",
            why=f"not as GitHub writes it: {fields}",
            now="See whether an earlier step of the job overwrites a GITHUB_… variable.",
        ) from invalid


def _variables(environment: Mapping[str, str]) -> dict[str, Any]:
    names = {
        "repository": "GITHUB_REPOSITORY",
        "sha": "GITHUB_SHA",
        "api_url": "GITHUB_API_URL",
        "server_url": "GITHUB_SERVER_URL",
        "run_id": "GITHUB_RUN_ID",
        "run_attempt": "GITHUB_RUN_ATTEMPT",
        "ref": "GITHUB_REF",
        "workflow_ref": "GITHUB_WORKFLOW_REF",
        "token": "GITHUB_TOKEN",
        "summary_path": "GITHUB_STEP_SUMMARY",
        "output_path": "GITHUB_OUTPUT",
    }
    return {field: environment[name] for field, name in names.items() if environment.get(name)}


def _pull_request(environment: Mapping[str, str]) -> dict[str, Any] | None:
    event = _event(environment.get("GITHUB_EVENT_PATH", ""))
    if "pull_request" not in event:
        return None
    try:
        pull = event["pull_request"]
        # A fork that was deleted since has no repo any more.
        origin = (pull["head"]["repo"] or {}).get("full_name")
        from_fork = origin != environment.get("GITHUB_REPOSITORY")
        return {"number": pull["number"], "head_sha": pull["head"]["sha"], "from_fork": from_fork}
    except (TypeError, KeyError, AttributeError) as missing:
        raise _invalid_event(f"its pull request lacks {missing}") from missing


def _event(path: str) -> dict[str, Any]:
    if not path or not Path(path).is_file():
        return {}
    with Path(path).open("rb") as file:
        content = file.read(LARGEST_EVENT + 1)
    try:
        event = json.loads(content)
    except (ValueError, RecursionError) as broken:
        raise _invalid_event("it is not JSON") from broken
    if not isinstance(event, dict):
        raise _invalid_event("it is not a JSON object")
    return event


def _invalid_event(why: str) -> GitHubContextInvalid:
    return GitHubContextInvalid(
        "The event that started this job cannot be read.",
        why=why,
        now="Run the workflow again; if it stays, see what GITHUB_EVENT_PATH names.",
    )
