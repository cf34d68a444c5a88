"""Constraints on numbers, strings and counts: where a reader's is tighter than the writer's."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.contract.findings import NOT_SET, Finding, Kind, shown
from pipeline.contract.schema import same
from pipeline.worker.contract import Schema

# Keywords of one line mean something only together.
UNDECIDABLE = (
    ("not",),
    ("if", "then", "else"),
    ("contains", "minContains", "maxContains"),
    ("dependentRequired",),
    ("dependentSchemas",),
    ("dependencies",),
    ("$dynamicRef",),
)
UNEVALUATED = (
    "unevaluatedItems",
    "unevaluatedProperties",
)  # what they refuse depends on all that is beside them
ANY_TEXT = ("password", "path")  # formats that refuse nothing


def tighter_number(reader: Schema, writer: Schema, path: str) -> Iterator[Finding]:
    """Bounds and steps of numbers."""
    whole = writer["type"] == "integer"
    if _lower(reader, whole) > _lower(writer, whole):
        yield _limit(path, "minimum", "exclusiveMinimum", reader, writer)
    if _upper(reader, whole) < _upper(writer, whole):
        yield _limit(path, "maximum", "exclusiveMaximum", reader, writer)
    if "multipleOf" in reader and not _divides(reader["multipleOf"], writer.get("multipleOf"), whole):
        yield _limit(path, "multipleOf", "multipleOf", reader, writer)


def tighter_string(reader: Schema, writer: Schema, path: str) -> Iterator[Finding]:
    """Lengths, formats and patterns."""
    yield from tighter_count(reader, writer, path, "Length")
    if reader.get("format") in ANY_TEXT:
        reader = {key: value for key, value in reader.items() if key != "format"}
    for keyword in ("format", "contentEncoding", "contentMediaType", "pattern"):
        if keyword in reader and reader[keyword] != writer.get(keyword):
            kind = Kind.UNDECIDED if keyword == "pattern" and keyword in writer else Kind.LIMIT
            yield _finding(kind, path, keyword, reader, writer)


def tighter_count(
    reader: Schema, writer: Schema, path: str, of: str, *, least: int = 0, most: float = math.inf
) -> Iterator[Finding]:
    """Counts `of` Length, Items or Properties; the writer's other keywords imply `least` and `most`."""
    low, high = f"min{of}", f"max{of}"
    if reader.get(low, 0) > max(writer.get(low, 0), least):
        yield _finding(Kind.LIMIT, path, low, reader, writer)
    if reader.get(high, math.inf) < min(writer.get(high, math.inf), most):
        yield _finding(Kind.LIMIT, path, high, reader, writer)


def undecidable(reader: Schema, writer: Schema, path: str, *, same_definitions: bool) -> Iterator[Finding]:
    """Keywords that are equal or cannot be compared."""
    for keywords in UNDECIDABLE:
        if reader.keys().isdisjoint(keywords):
            continue
        for keyword in keywords:
            ours = reader.get(keyword)
            if not same(ours, writer.get(keyword)) or (not same_definitions and _refers(ours)):
                yield _finding(Kind.UNDECIDED, path, keyword, reader, writer)
    for keyword in UNEVALUATED:
        if keyword in reader:
            yield _finding(Kind.UNDECIDED, path, keyword, reader, writer)


def _refers(node: Any) -> bool:
    """Whether equal text may still mean something else, because it refers to what is not equal."""
    match node:
        case dict():
            return "$ref" in node or any(map(_refers, node.values()))
        case list():
            return any(map(_refers, node))
    return False


Bound = tuple[float, int]


def _lower(schema: Schema, whole: bool) -> Bound:
    bounds = []
    if "minimum" in schema:
        bounds.append((_rounded(math.ceil, schema["minimum"], whole), 0))
    if "exclusiveMinimum" in schema:
        edge = schema["exclusiveMinimum"]
        bounds.append((_rounded(math.floor, edge, whole) + 1, 0) if whole else (edge, 1))
    return max(bounds, default=(-math.inf, 0))


def _upper(schema: Schema, whole: bool) -> Bound:
    bounds = []
    if "maximum" in schema:
        bounds.append((_rounded(math.floor, schema["maximum"], whole), 0))
    if "exclusiveMaximum" in schema:
        edge = schema["exclusiveMaximum"]
        bounds.append((_rounded(math.ceil, edge, whole) - 1, 0) if whole else (edge, -1))
    return min(bounds, default=(math.inf, 0))


def _rounded(way: Callable[[float], int], edge: float, whole: bool) -> float:
    return way(edge) if whole and isinstance(edge, float) and math.isfinite(edge) else edge


def _divides(step: float, writer_step: float | None, whole: bool) -> bool:
    steps = [other for other in (writer_step, 1 if whole else None) if other is not None]
    # Only whole numbers: the remainder of two fractions is a matter of rounding.
    return any(
        other == step or (_is_whole(other) and _is_whole(step) and int(other) % int(step) == 0)
        for other in steps
    )


def _is_whole(number: float) -> bool:
    return isinstance(number, int) or number.is_integer()


def _limit(path: str, inclusive: str, exclusive: str, reader: Schema, writer: Schema) -> Finding:
    for keyword in (inclusive, exclusive):
        if keyword in reader and reader[keyword] != writer.get(keyword):
            return _finding(Kind.LIMIT, path, keyword, reader, writer)
    return _finding(Kind.LIMIT, path, inclusive, reader, writer)


def _finding(kind: Kind, path: str, keyword: str, reader: Schema, writer: Schema) -> Finding:
    def value(schema: Schema) -> Any:
        return shown(schema[keyword]) if keyword in schema else NOT_SET

    return Finding(kind, path, keyword, (value(writer),), value(reader))
