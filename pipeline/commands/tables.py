"""Results as tables for people. What a stranger may have written is shown as text, never as markup."""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.commands.history import Event
from pipeline.commands.status import AlgorithmStatus, BuildStatus
from pipeline.github.escape import one_line
from pipeline.models import is_placeholder
from pipeline.rollout.page import step_line, where
from pipeline.worker.settings import batch_of

ELSEWHERE = 140
"""Columns where the output is no terminal."""
COLUMNS = ("action", "build_id", "outcome")
"""Of the history, behind the time."""


def status(found: AlgorithmStatus) -> list[str]:
    """An algorithm's builds, newest first, under a line that says what is live."""
    rows = [_build(build, found) for build in found.builds]
    header = ("build", "status", "workers", "calls", "failed", "commit by", "subject")
    return [headline(found), *_batch(found), *_release(found), *_table(header, rows), *_quarantined(found)]


def _quarantined(found: AlgorithmStatus) -> list[str]:
    return [f"quarantined {b.build_id}: {one_line(b.quarantined)}" for b in found.builds if b.quarantined]


def _batch(found: AlgorithmStatus) -> list[str]:
    if found.batch is None:
        return []
    since = f" since {found.batch.since:%Y-%m-%d %H:%M:%S} UTC" if found.batch.since else ""
    return [f"batch calls, on {batch_of(found.algorithm)}: {found.batch.build_id}{since}"]


def _release(found: AlgorithmStatus) -> list[str]:
    now = found.release
    if now is None:
        return []
    steps = [f"  {one_line(step_line(judged))}" for judged in now.judged]
    return [f"a release of {now.build_id} is running: {where(now)}", *steps]


def headline(found: AlgorithmStatus) -> str:
    """What is live, in one line."""
    if found.current is None:
        return f"{found.algorithm}: no build is Current; calls wait until one is."
    since = f" since {found.current.since:%Y-%m-%d %H:%M:%S} UTC" if found.current.since else ""
    ramp = (
        f"; {found.ramping.percentage:g} % of workflows go to {found.ramping.build_id}"
        if found.ramping
        else ""
    )
    moving = "" if found.propagated else "; the routing is still propagating"
    stands_in = "; it is a placeholder" if is_placeholder(found.current.build_id) else ""
    return f"{found.algorithm}: {found.current.build_id} is Current{since}{stands_in}{ramp}{moving}."


def _build(build: BuildStatus, found: AlgorithmStatus) -> Sequence[str]:
    mark = "→ " if found.current and found.current.build_id == build.build_id else "  "
    return (
        mark + build.build_id,
        build.status,
        str(build.workers),
        str(build.processed),
        str(build.failed),
        build.author or "",
        build.subject or "",
    )


def history(events: Iterable[Event]) -> list[str]:
    """Events, newest first: what happened, and in the line below through whom and why."""
    shown = list(events)
    widths = {name: max((len(getattr(event, name)) for event in shown), default=0) for name in COLUMNS}
    return [line for event in shown for line in _event(event, widths)]


def _event(event: Event, widths: Mapping[str, int]) -> Iterator[str]:
    cells = (one_line(getattr(event, name)).ljust(width) for name, width in widths.items())
    yield "  ".join((f"{event.at:%Y-%m-%d %H:%M:%S} UTC", *cells)).rstrip()
    people = (event.by and f"by {event.by}", event.author and f"commit by {event.author}")
    why = (event.approved and f"approved {event.approved}", event.reason, event.fault)
    if about := "; ".join(one_line(told) for told in (*people, *why) if told):
        yield f"    {about}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as the terminal lets them be; the last two give way."""
    table = Table(box=None, pad_edge=False)
    for name in header[:-2]:
        table.add_column(name, no_wrap=True)
    for name in header[-2:]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(width=shutil.get_terminal_size((ELSEWHERE, 24)).columns, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]
