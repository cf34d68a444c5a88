"""What a pull request changes for those who call the algorithm, in markdown."""

from collections.abc import Sequence

from pipeline.contract.approval import approval, way_out
from pipeline.contract.compare import Change, compare
from pipeline.github import escape
from pipeline.worker.contract import Contract


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
        return f"{_counted(breaking)} that would break callers"
    return f"{_counted(compatible)}, none that would break callers" if compatible else "no change for callers"


def _counted(changes: Sequence[Change]) -> str:
    return f"{len(changes)} change{'' if len(changes) == 1 else 's'}"


def _table(title: str, changes: Sequence[Change]) -> str:
    rows = [
        f"| {escape.cell(change.activity)} | {_place(change)} | {escape.text(change.text)} |"
        for change in changes
    ]
    return "\n".join((f"| {title} | where | what |", "|---|---|---|", *rows)) if rows else ""


def _place(change: Change) -> str:
    return f"{change.side} {escape.cell(change.path)}" if change.side else ""
