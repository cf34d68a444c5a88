"""The pages that need GitHub's REST API, for one job. Importing this module imports PyGithub."""

from collections.abc import Callable
from typing import TypeVar

from github.Repository import Repository

from pipeline.github import check_run, comment, deployment_page
from pipeline.github.answers import Patience
from pipeline.github.client import Client
from pipeline.github.context import GitHubContext
from pipeline.github.page_models import Check, DeploymentStatus

T = TypeVar("T")


class RestPages:
    """The job's pages; each method raises GitHubRefused or GitHubUnreachable where its page cannot be had."""

    def __init__(self, job: GitHubContext, token: str, patience: Patience) -> None:
        self._job = job
        self._client = Client(job.api_url, token, patience)

    def deployment(self, status: DeploymentStatus) -> None:
        """See `deployment_page.show`."""
        run_url = self._job.run_url
        self._attempt("the deployment", lambda on: deployment_page.show(on, status, run_url))

    def end_deployment(self, algorithm: str, build_id: str, because: str) -> None:
        """See `deployment_page.end`."""
        self._attempt("a deployment's end", lambda on: deployment_page.end(on, algorithm, build_id, because))

    def check(self, check: Check) -> None:
        """See `check_run.publish`."""
        place = check_run.Place(
            head_sha=self._job.head_sha,
            external_id=f"{self._job.run_id}.{self._job.run_attempt}",
            details_url=self._job.run_url,
        )
        self._attempt("the check run", lambda on: check_run.publish(on, check, place))

    def comment(self, pull_request: int, key: str, body: str) -> None:
        """See `comment.publish`."""
        self._attempt("the comment", lambda on: comment.publish(on, pull_request, key, body))

    def is_on(self, branch: str, commit: str) -> bool:
        """Whether a branch has a commit now, however many came after it."""
        seen = self._attempt("the question for the branch", lambda on: on.compare(branch, commit).status)
        return seen in {"identical", "behind"}

    def _attempt(self, doing: str, operation: Callable[[Repository], T]) -> T:
        repository = self._client.repository(self._job.repository)
        return self._client.attempt(doing, lambda: operation(repository))
