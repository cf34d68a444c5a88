"""Everything that a release shows on GitHub, in one place that never fails it.

A page that cannot be shown is left out, and `Pages.left_out` says which and why. Off GitHub all of them are.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from pipeline.errors import ConduitError, GitHubContextInvalid, GitHubUnreachable
from pipeline.github import workflow_commands
from pipeline.github.answers import Patience
from pipeline.github.context import GitHubContext, read_context
from pipeline.github.page_models import Annotation, Check, DeploymentStatus
from pipeline.github.summary import SUMMARY_LIMIT, fit, left_out, summary
from pipeline.release_report import Failure, ReleaseReport

if TYPE_CHECKING:
    from pipeline.github.rest_pages import RestPages


BRANCH = "refs/heads/"
MOST_FAULTS = 9
"""GitHub shows ten annotations of a step; one is the error itself."""


class _LeftOut(Exception):
    """Why a page is not shown, which is nobody's fault."""


class Pages:
    """The pages of one job. No method raises."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        stdout: TextIO | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Read the job's context.

        Args:
            environment: the process's variables.
            stdout: where the runner reads workflow commands; standard output by default.
            patience: how long each page may wait for GitHub.
        """
        self._left_out: dict[str, list[str]] = {}
        self._stdout = stdout or sys.stdout
        self._patience = patience or Patience()
        self._why_none = "not on GitHub Actions"
        self._context = self._read(environment)

    @property
    def context(self) -> GitHubContext | None:
        """The job, or None off GitHub."""
        return self._context

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not on GitHub's pages, by reason."""
        return tuple(f"{', '.join(pages)}: {why}" for why, pages in self._left_out.items())

    def has_left_its_branch(self, commit: str) -> bool:
        """Whether a forced push took the job's own commit off its branch; False where nobody can say."""
        job = self._context
        if job is None or job.sha != commit or not job.ref.startswith(BRANCH):
            return False
        with self._page("whether the branch still has the commit"):
            return not self._rest.is_on(job.ref.removeprefix(BRANCH), commit)
        return False

    def deployment(self, status: DeploymentStatus) -> None:
        """Show how far the release of a build is."""
        with self._page("the deployment"):
            self._rest.deployment(status)

    def rolled_back(self, good: DeploymentStatus, bad: str) -> None:
        """Show that a build took the place of the build `bad` back."""
        with self._page("the deployment"):
            self._rest.deployment(good)
            self._rest.end_deployment(good.algorithm, bad, f"Rolled back to {good.build_id}")

    def check(self, check: Check) -> None:
        """Show a check of the commit that was pushed."""
        with self._page("the check run"):
            self._rest.check(check)

    def comment(self, key: str, body: str) -> None:
        """Say something on the pull request that this job is about, if any, in place of what was said before.

        Args:
            key: which of our comments, such as `contract speaker-id`.
            body: markdown.
        """
        with self._page("the comment"):
            if self._job.pull_request:
                self._rest.comment(self._job.pull_request.number, key, body)

    def summary(self, report: ReleaseReport) -> None:
        """Append the release to the job's summary; call it last, and when the job failed too."""
        with self._page("the job summary"):
            path = self._job.summary_path
            if path is None:
                raise _LeftOut("GITHUB_STEP_SUMMARY is not set")
            told = report.model_copy(update={"left_out": (*report.left_out, *self.left_out)})
            with path.open("a", encoding="utf-8") as file:
                file.write(summary(told, rollback_url=self._job.rollback_url))

    def say(self, markdown: str) -> None:
        """Append markdown to the job's summary, with what was left out so far."""
        with self._page("the job summary"):
            path = self._job.summary_path
            if path is None:
                raise _LeftOut("GITHUB_STEP_SUMMARY is not set")
            with path.open("a", encoding="utf-8") as file:
                file.write(fit([markdown, *filter(None, [left_out(self.left_out)])], SUMMARY_LIMIT))

    def outputs(self, values: Mapping[str, str]) -> None:
        """Set the step's outputs."""
        with self._page("the outputs"):
            path = self._job.output_path
            if path is None:
                raise _LeftOut("GITHUB_OUTPUT is not set")
            workflow_commands.write_outputs(path, values)

    def error(self, failure: Failure, *, title: str = "conduit") -> None:
        """Show a failure at the top of the run's page."""
        with self._page("the annotation"):
            said = "\n".join(filter(None, (failure.what, failure.why, failure.now)))
            if self._job:
                print(workflow_commands.annotation("error", said, title=title), file=self._stdout, flush=True)

    def faults(self, found: Sequence[Annotation]) -> None:
        """Show the first lines at fault beside the code, without a token: the runner does it."""
        with self._page("the annotations"):
            if self._job:
                for fault in found[:MOST_FAULTS]:
                    shown = workflow_commands.annotation(
                        "error", fault.message, file=fault.path, line=fault.line, title=fault.title
                    )
                    print(shown, file=self._stdout, flush=True)

    @property
    def _job(self) -> GitHubContext:
        if self._context is None:
            raise _LeftOut(self._why_none)
        return self._context

    @cached_property
    def _rest(self) -> "RestPages":
        job = self._job
        if job.pull_request and job.pull_request.from_fork:
            raise _LeftOut("a pull request from a fork has a token that may only read")
        if job.token is None:
            raise _LeftOut("the job has no GITHUB_TOKEN")
        from pipeline.github.rest_pages import RestPages  # PyGithub is slow to import

        return RestPages(job, job.token.get_secret_value(), self._patience)

    def _read(self, environment: Mapping[str, str]) -> GitHubContext | None:
        try:
            return read_context(environment)
        except GitHubContextInvalid as invalid:
            self._why_none = f"{invalid.what} {invalid.why}"
            return None

    @contextlib.contextmanager
    def _page(self, page: str) -> Iterator[None]:
        try:
            yield
        except _LeftOut as reason:
            self._leave_out(page, str(reason))
        except GitHubUnreachable as error:
            # It was waited for once. The pages that follow try, and do not wait again.
            self._patience = self._patience.model_copy(update={"total": 0.0})
            self.__dict__.pop("_rest", None)
            self._leave_out(page, _told(error))
        except ConduitError as error:
            self._leave_out(page, _told(error))
        # A page is worth less than the release that it shows, whatever is wrong with it.
        except Exception as error:
            self._leave_out(page, f"{type(error).__name__}: {error}")

    def _leave_out(self, page: str, why: str) -> None:
        pages = self._left_out.setdefault(why, [])
        if page not in pages:
            pages.append(page)


def _told(error: ConduitError) -> str:
    return " ".join(filter(None, (error.what, error.why, error.now)))
