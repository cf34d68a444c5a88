"""What became incompatible between two contracts, in words and with the path."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel, ConfigDict

from pipeline.contract.findings import NOT_SET, Finding, Kind, Side, joined, shown
from pipeline.contract.payload import UNUSABLE, validator
from pipeline.contract.subsumption import Subsumption
from pipeline.contract.words import words
from pipeline.worker.contract import ActivityContract, Contract, Schema


class Change(BaseModel):
    """One difference between two contracts."""

    model_config = ConfigDict(frozen=True)

    activity: str
    side: Side | None  # None: the activity as a whole
    path: str
    kind: Kind
    breaking: bool
    text: str


def compare(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Return what changed, by activity, the inputs before the outputs.

    Breaking is: an input that was valid and no longer is, an output that a reader of the old schema would not
    accept, an activity that is gone. What cannot be decided counts as breaking and says so.
    """
    before = {each.name: each for each in old.activities}
    after = {each.name: each for each in new.activities}
    return tuple(
        change
        for name in sorted(before | after)
        for change in _activity(name, before.get(name), after.get(name))
    )


def render(changes: Iterable[Change]) -> list[str]:
    """The changes as lines for people, the breaking ones first within each activity."""
    lines: list[str] = []
    by_activity: dict[str, list[Change]] = {}
    for change in changes:
        by_activity.setdefault(change.activity, []).append(change)
    for activity, its in by_activity.items():
        lines.append(shown(activity).strip('"'))
        lines.extend(_line(change) for change in sorted(its, key=lambda change: not change.breaking))
    return lines


def _line(change: Change) -> str:
    verdict = "breaking  " if change.breaking else "compatible"
    place = f"{change.side} {change.path}: " if change.side else ""
    return f"  {verdict}  {place}{change.text}"


def _activity(name: str, old: ActivityContract | None, new: ActivityContract | None) -> Iterator[Change]:
    if old is None:
        yield _change(name, None, Finding(Kind.ACTIVITY_NEW, "$"))
    elif new is None:
        yield _change(name, None, Finding(Kind.ACTIVITY_GONE, "$"))
    else:
        yield from (_change(name, "input", finding) for finding in _input(old.input, new.input))
        yield from (_change(name, "output", finding) for finding in _output(old.output, new.output))


def _change(activity: str, side: Side | None, finding: Finding) -> Change:
    return Change(
        activity=activity,
        side=side,
        path=finding.path,
        kind=finding.kind,
        breaking=finding.breaking,
        text=words(finding, side),
    )


def _input(old: Schema | None, new: Schema | None) -> list[Finding]:
    if old is not None and new is not None:
        return _differences(reader=new, writer=old, side="input")
    if old is new:
        return []
    before, now = ("no", "one") if old is None else ("one", "none")
    return [Finding(Kind.ARGUMENT, "$", sent=(before,), taken=now)]


def _output(old: Schema | None, new: Schema | None) -> list[Finding]:
    old, new = _result(old), _result(new)
    if old is not None and new is not None:
        return _differences(reader=old, writer=new, side="output")
    if old is new:
        return []
    return [Finding(Kind.RESULT_NEW if old is None else Kind.RESULT_GONE, "$")]


def _result(schema: Schema | None) -> Schema | None:
    """A result that is always null is none."""
    return None if schema == {"type": "null"} else schema


def _differences(reader: Schema, writer: Schema, side: Side) -> list[Finding]:
    try:
        validator(reader), validator(writer)
    except UNUSABLE:
        return [_undecided("not JSON Schema that can be used")]
    try:
        findings = list(joined(Subsumption(reader, writer, side).findings()))
        # What would break the other way round is what callers may send more of, or what readers get less of.
        reverse = Subsumption(writer, reader, side).findings()
    except RecursionError:
        return [_undecided("nested too deeply")]
    told = {finding.path for finding in findings}
    pointers = (Kind.REPEATED, Kind.FIELD_RENAMED)
    relaxed = dict.fromkeys(found.path for found in reverse if found.breaking and found.kind not in pointers)
    return findings + [Finding(Kind.RELAXED, path) for path in relaxed if path not in told]


def _undecided(why: str) -> Finding:
    return Finding(Kind.UNDECIDED, "$", "schema", (NOT_SET,), why)
