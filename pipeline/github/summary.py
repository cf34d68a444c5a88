"""The job summary: one release, told to the researcher who pushed it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pipeline.github import escape
from pipeline.release_report import Decision, Failure, ReleaseReport, StepResult, StepStatus

# GitHub's limits: for the summaries of one step in bytes, for a comment or a check run in characters.
# Counting bytes for both is on the safe side.
SUMMARY_LIMIT = 1024 * 1024
COMMENT_LIMIT = 65_535
LOG_LIMIT = 30_000

HEADLINES: dict[Decision, str] = {
    "promoted": "✅ {build} of {algorithm} is live",
    "unchanged": "✅ {build} of {algorithm} was live already; nothing changed",
    "verified": "✅ {algorithm}: verified; nothing was released",
    "built": "✅ {build} of {algorithm} is built; nothing was released",
    "held": "⏸️ {build} of {algorithm} waits for a decision",
    "begun": "⏳ the release of {build} of {algorithm} has begun; the controller goes on with it",
    "superseded": "⏭️ {algorithm}: a newer release took this one's place",
    "rolled-back": "↩️ {build} of {algorithm} was rolled back",
    "failed": "❌ {algorithm}: not released",
}
MARKS: dict[StepStatus, str] = {
    "ok": "✅",
    "failed": "❌",
    "skipped": "⏭️ skipped",
    "running": "⏳ not finished",
}


def summary(report: ReleaseReport, *, rollback_url: str = "", limit: int = SUMMARY_LIMIT) -> str:
    """Tell a release in markdown.

    Args:
        report: what happened; its text may be a stranger's.
        rollback_url: the page with the repo's "Roll back" button.
        limit: most bytes of UTF-8; what comes last is left out first.
    """
    parts = (
        _headline(report),
        _failure(report.failure),
        _live(report),
        _steps(report.steps),
        _figures(report),
        _undo(report, rollback_url),
        left_out(report.left_out),
        _log(report.failure),
    )
    return fit([part for part in parts if part], limit)


def fit(parts: Sequence[str], limit: int) -> str:
    """Join markdown blocks up to a size in bytes, and say so where some did not fit."""
    notice = "_More was left out here: it is longer than GitHub shows._\n"
    kept: list[str] = []
    room = limit - len(notice.encode())
    for part in parts:
        room -= len(part.encode()) + 2
        if room < 0:
            return "\n\n".join([*kept, notice])
        kept.append(part)
    return "\n\n".join(kept) + "\n"


def _headline(report: ReleaseReport) -> str:
    build = f"Build {report.build_id}" if report.build_id else "The build"
    algorithm = report.algorithm or "The algorithm"
    headline = HEADLINES[report.decision].format(build=build, algorithm=algorithm)
    return f"## {headline}"


def _failure(failure: Failure | None) -> str:
    if failure is None:
        return ""
    rows = (("What happened", failure.what), ("Why", failure.why), ("What to do now", failure.now))
    return "\n\n".join(f"**{label}:** {_prose(said)}" for label, said in rows if said)


def _prose(said: str) -> str:
    # The output of a tool has lines, and loses its meaning without them.
    return f"\n\n{escape.block(_end(said), 'text')}" if "\n" in said.strip() else escape.text(said)


def _live(report: ReleaseReport) -> str:
    rows = []
    if report.live_build_id:
        rows.append(("Live now", f"{escape.cell(report.live_build_id)} since {_time(report.live_since)}"))
    if report.previous_build_id:
        rows.append(("Live before", escape.cell(report.previous_build_id)))
    if report.commit:
        commit = report.commit
        said = f"{escape.cell(commit.short)} {escape.cell(commit.subject)} by {escape.cell(commit.author)}"
        rows.append(("Commit", said))
    if report.ui_url:
        rows.append(("Watch it", escape.link("Temporal's UI", report.ui_url)))
    return _table(("", ""), rows)


def _steps(steps: Iterable[StepResult]) -> str:
    rows = [
        (escape.cell(step.name), MARKS[step.status], _seconds(step), escape.cell(step.detail))
        for step in steps
    ]
    return _section("Steps", _table(("Step", "Result", "Time", "Detail"), rows))


def _figures(report: ReleaseReport) -> str:
    rows = [(escape.cell(name), escape.cell(str(value))) for name, value in report.figures.items()]
    return _section("Figures of the release", _table(("Figure", "Value"), rows))


def _undo(report: ReleaseReport, rollback_url: str) -> str:
    ways = [escape.block(report.undo, "sh")] if report.undo else []
    if report.undo and rollback_url:
        ways.append(f"Or without a terminal: {escape.link('Roll back', rollback_url)}.")
    return _section("How to undo it", "\n\n".join(ways))


def left_out(reasons: Iterable[str]) -> str:
    """The section that says what is missing; "" for nothing."""
    return _section("Left out", "\n".join(f"- {escape.text(reason)}" for reason in reasons))


def _log(failure: Failure | None) -> str:
    if failure is None or not failure.log.strip():
        return ""
    log = escape.block(_end(failure.log), "text")
    return f"<details><summary>End of the log</summary>\n\n{log}\n\n</details>"


def _end(log: str) -> str:
    return log if len(log) <= LOG_LIMIT else f"…{log[-LOG_LIMIT:]}"


def _section(title: str, body: str) -> str:
    return f"### {title}\n\n{body}" if body else ""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"


def _seconds(step: StepResult) -> str:
    return "" if step.seconds is None else f"{step.seconds:.1f} s"
