"""The connection to GitHub's REST API: PyGithub's objects, with our own policy of trying again.

Importing this module imports PyGithub, which takes a moment: import it where a call to GitHub is near.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import github
import tenacity
from github.Repository import Repository

from pipeline.github import answers
from pipeline.github.answers import Answer, Patience

T = TypeVar("T")

REQUEST_TIMEOUT = 15
"""Seconds without an answer after which one request counts as failed."""


class Client:
    """One token on one GitHub."""

    def __init__(self, api_url: str, token: str, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._github = github.Github(
            base_url=api_url,
            auth=github.Auth.Token(token),
            timeout=REQUEST_TIMEOUT,
            per_page=100,
            # Objects are named without asking for them first.
            lazy=True,
            # PyGithub would wait without a limit; `attempt` does it with one.
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )

    def repository(self, name: str) -> Repository:
        """The repository `owner/name`; nothing is asked yet."""
        return self._github.get_repo(name)

    def attempt(self, doing: str, operation: Callable[[], T]) -> T:
        """Run an operation until GitHub grants it, within the client's patience.

        Args:
            doing: what it does, for the message.
            operation: calls GitHub. It is run again as a whole, also after an answer that was lost, so it
                looks for what it has made before it makes it.

        Raises:
            GitHubRefused: GitHub said no.
            GitHubUnreachable: GitHub gave no answer, or errors of its own only.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: self._pause(error, 1) is not None),
            wait=self._wait,
            # A wait that would end too late is not begun.
            stop=tenacity.stop_before_delay(self._patience.total),
            reraise=True,
        )
        try:
            return retrying(operation)
        except github.GithubException as refused:
            raise answers.refusal(doing, _answer(refused)) from refused
        except OSError as unreachable:
            raise answers.unreachable(doing, str(unreachable)) from unreachable

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return (self._pause(error, state.attempt_number) if error else None) or 0.0

    def _pause(self, error: BaseException, attempt: int) -> float | None:
        if isinstance(error, github.GithubException):
            return answers.pause(_answer(error), attempt, datetime.now(UTC), self._patience)
        # All errors of the connection are of this kind.
        return answers.server_pause(attempt, self._patience) if isinstance(error, OSError) else None


def _answer(refused: github.GithubException) -> Answer:
    return answers.answer(refused.status, refused.headers, refused.data)
