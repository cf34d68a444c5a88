"""What a command shows on GitHub, for all commands in one place: while it works, when it ends and when it fails.

Off GitHub nothing is shown and nothing is said of it. No page ever fails a command.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipeline.commands.foreseen import foreseen
from pipeline.commands.session import Session
from pipeline.errors import Superseded
from pipeline.github.answers import Patience
from pipeline.github.faults import annotations
from pipeline.github.page_models import Annotation, Check, Conclusion, DeploymentStatus, State
from pipeline.github.pages import Pages
from pipeline.github.summary import COMMENT_LIMIT, summary
from pipeline.models import Build, Commit, Image
from pipeline.release_report import Decision, Failure, ReleaseReport

CONCLUSIONS: Mapping[Decision, Conclusion] = {
    "failed": "failure",
    "superseded": "skipped",
    "held": "neutral",
    "begun": "neutral",
}
"""Of the check run; success for every other decision."""
ENDS: Mapping[Decision, tuple[State, str]] = {
    "superseded": ("inactive", "A newer release took its place"),
    "begun": ("in_progress", "The controller goes on with it"),
}
"""Of the deployment; live for every other decision."""
PATIENCE = Patience(total=30)
"""A release waits for its pages, the first of them before it begins."""
NOWHERE = Path("/nowhere")
"""Where a commit was exported to is gone by now: only relative paths of a log name files of the repo."""
INTERRUPTED = Failure(what="It was interrupted.", now="Run it again: it finds done what was done.")
UNFORESEEN = Failure(
    what="The conduit met something that it did not foresee.",
    now="Report it with the end of this job's log.",
)


@dataclass
class Story:
    """What is known so far of what a command does; the command fills it in as it goes."""

    session: Session
    pages: Pages
    decision: Decision = "failed"
    algorithm: str | None = None
    commit: Commit | None = None
    build: Build | None = None
    releases: bool = False
    """Whether routing is changed, which a Deployment and a check run show."""
    live: tuple[str, datetime | None] | None = None
    previous: str | None = None
    rolled_back: str | None = None
    """The build whose place was taken back."""
    figures: dict[str, str | int | float] = field(default_factory=dict)
    undo: str = ""
    failure: Failure | None = None

    def about(self, algorithm: str, commit: Commit) -> None:
        """Say which algorithm and commit it is about."""
        self.algorithm, self.commit = algorithm, commit

    def releasing(self, build: Build) -> None:
        """Say that calls are about to be routed to a build."""
        self.about(build.algorithm, build.commit)
        self.build, self.releases = build, True
        self._deploy(build, "in_progress", "Starting its workers")

    def fail(self, failure: Failure) -> None:
        """Say why it failed."""
        self.failure = failure

    def report(self) -> ReleaseReport:
        """All of it as one value."""
        live, since = self.live or (None, None)
        return ReleaseReport(
            algorithm=self.algorithm,
            decision=self.decision,
            build_id=self.rolled_back or (self.build and self.build.build_id),
            commit=self.commit,
            live_build_id=live,
            live_since=since,
            previous_build_id=self.previous,
            steps=self.session.report.steps,
            figures=self.figures,
            undo=self.undo,
            ui_url=self.session.ui_url(self.algorithm) if self.algorithm else "",
            failure=self.failure,
        )

    def show(self) -> None:
        """Show how it ended on every page that there is."""
        report = self.report()
        if self.releases and self.build:
            self._end_deployment(self.build, report)
        if report.failure:
            self.pages.error(report.failure)
            self.pages.faults(_faults(report))
        self.pages.outputs(self._outputs())
        self.pages.summary(report)
        if self.pages.context is not None:
            for reason in self.pages.left_out:
                self.session.report.say(f"  left out: {reason}")

    def _end_deployment(self, build: Build, report: ReleaseReport) -> None:
        if self.rolled_back and not report.failure:
            self.pages.rolled_back(self._status(build, "success", "Live again"), self.rolled_back)
            return
        self._deploy(build, *_ended(report))
        if not self.rolled_back:  # the commit on which a roll-back's job runs has nothing to do with it
            self.pages.check(_check(report))

    def _deploy(self, build: Build, state: State, description: str) -> None:
        self.pages.deployment(self._status(build, state, description))

    def _status(self, build: Build, state: State, description: str) -> DeploymentStatus:
        return DeploymentStatus(
            algorithm=build.algorithm,
            build_id=build.build_id,
            commit=build.commit.sha,
            state=state,
            description=description,
            ui_url=self.session.ui_url(build.algorithm),
        )

    def _outputs(self) -> dict[str, str]:
        image = self.build.artifact if self.build and isinstance(self.build.artifact, Image) else None
        return {
            "decision": self.decision,
            "algorithm": self.algorithm or "",
            "build-id": self.build.build_id if self.build else "",
            "image": image.reference if image else "",
            "repository": image.repository if image else "",
            "digest": image.digest if image else "",
        }


@contextmanager
def shown(session: Session, patience: Patience = PATIENCE) -> Iterator[Story]:
    """Show on GitHub what a command does, and how it ends, whichever way that is."""
    # The runner reads commands from both streams; standard output is the result's alone.
    story = Story(session, Pages(session.environment, stdout=sys.stderr, patience=patience))
    try:
        yield story
    except Superseded:
        story.decision = "superseded"
        raise
    except (KeyboardInterrupt, asyncio.CancelledError):
        story.fail(INTERRUPTED)
        raise
    except BaseException as error:
        known = foreseen(error)
        story.fail(Failure.of(known) if known else UNFORESEEN)
        raise
    finally:
        _show(story)


def _show(story: Story) -> None:
    try:
        story.show()
    except Exception as error:  # whatever it is: it is about pages, and not about what the command did
        story.session.report.say(f"  left out on GitHub: {type(error).__name__}: {error}")


def _ended(report: ReleaseReport) -> tuple[State, str]:
    if report.failure:
        return "failure", report.failure.what
    return ENDS.get(report.decision, ("success", "Live"))


def _check(report: ReleaseReport) -> Check:
    headline = report.failure.what if report.failure else f"{report.build_id}: {report.decision}"
    return Check(
        name=f"conduit {report.algorithm}",
        conclusion=CONCLUSIONS.get(report.decision, "success"),
        title=headline[:255],
        summary=summary(report, limit=COMMENT_LIMIT),
        annotations=_faults(report),
    )


def _faults(report: ReleaseReport) -> tuple[Annotation, ...]:
    """The lines of the repo at fault, as far as the log of the failure tells them."""
    if report.failure is None or report.commit is None:
        return ()
    return annotations(report.failure.log, NOWHERE, report.commit.path)
