"""What a pull request changes for those who call the algorithm, in markdown."""

import itertools
from collections.abc import Sequence

from pipeline.contract.approval import approval, way_out
from pipeline.contract.compare import Change, compare
from pipeline.contract.words import counted
from pipeline.github import escape
from pipeline.worker.contract import Contract

ROOM = 25_000
"""Bytes of a table's rows: two tables and the words around them are one comment, which GitHub limits."""
LONGEST = 1000
"""Characters of a name or a text; escaped they are a few times as many bytes."""


def comment(algorithm: str, before: Contract | None, after: Contract) -> str:
    """Tell the changes of a contract, the breaking ones first.

    Args:
        algorithm: its name.
        before: the contract of the base; None where it has none.
        after: the contract of the pull request. Both may be a stranger's.
    """
    if before is None:
        return f"{_title(algorithm, 'new')}\n\nNobody calls it yet: the base has no contract."
    changes = compare(before, after)
    breaking = [change for change in changes if change.breaking]
    compatible = [change for change in changes if not change.breaking]
    parts = (
        _title(algorithm, _headline(breaking, compatible)),
        _table("❌ Breaks callers", breaking),
        way_out(approval(breaking)) if breaking else "",
        _table("✅ Compatible", compatible),
    )
    return "\n\n".join(part for part in parts if part)


def _title(algorithm: str, headline: str) -> str:
    return f"### {escape.code(algorithm)}: {headline}"


def _headline(breaking: Sequence[Change], compatible: Sequence[Change]) -> str:
    if breaking:
        return f"{counted(len(breaking), 'change')} that would break callers"
    if compatible:
        return f"{counted(len(compatible), 'change')}, none that would break callers"
    return "no change for callers"


def _table(title: str, changes: Sequence[Change]) -> str:
    if not changes:
        return ""
    sizes = itertools.accumulate(len(_row(change).encode()) for change in changes)
    shown = sum(size <= ROOM for size in sizes)
    rows = [_row(change) for change in changes[:shown]]
    left = [f"| … | | {len(changes) - shown:,} more |"] if shown < len(changes) else []
    return "\n".join((f"| {title} | where | what |", "|---|---|---|", *rows, *left))


def _row(change: Change) -> str:
    place = f"{change.side} {escape.cell(_cut(change.path))}" if change.side else ""
    return f"| {escape.cell(_cut(change.activity))} | {place} | {escape.text(_cut(change.text))} |"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
