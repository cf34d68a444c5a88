"""Where an output differs from the one that is expected."""

import json
import math
from collections.abc import Container, Iterator

from pydantic import JsonValue

LONGEST = 80
MOST = 5


def differences(
    expected: JsonValue, answered: JsonValue, tolerance: float, *, show: bool, names: Container[str] = ()
) -> tuple[str, ...]:
    """Each place that differs, the first few; fields that are not expected do not count.

    Args:
        expected: as it was recorded, or as an example has it.
        answered: what was answered now.
        tolerance: by how much two numbers may differ.
        show: whether the values themselves may be told.
        names: the names of fields, which may always be told; other keys of an object are data like its values.
    """
    found = list(_differences(expected, answered, tolerance, ()))
    told = [
        _told(_path(steps, None if show else names), was, now, show=show) for steps, was, now in found[:MOST]
    ]
    more = len(found) - MOST
    return (*told, *([f"and {more} more"] if more > 0 else []))


Steps = tuple[str | int, ...]
Difference = tuple[Steps, JsonValue, JsonValue]


def _differences(was: JsonValue, now: JsonValue, tolerance: float, steps: Steps) -> Iterator[Difference]:
    if isinstance(was, dict) and isinstance(now, dict):
        for name, value in was.items():
            yield from _differences(value, now.get(name), tolerance, (*steps, name))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from _differences(one, other, tolerance, (*steps, index))
    elif not _alike(was, now, tolerance):
        yield steps, was, now


def _alike(was: JsonValue, now: JsonValue, tolerance: float) -> bool:
    if isinstance(was, bool) or isinstance(now, bool):
        return was is now
    if isinstance(was, int | float) and isinstance(now, int | float):
        return was == now or abs(was - now) <= tolerance or (_is_nan(was) and _is_nan(now))
    return was == now


def _is_nan(value: float) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _path(steps: Steps, names: Container[str] | None) -> str:
    told = (
        f"[{step}]" if isinstance(step, int) else f".{_name(step) if names is None or step in names else '*'}"
        for step in steps
    )
    return "$" + "".join(told)


def _name(step: str) -> str:
    return json.dumps(step)[1:-1][:LONGEST]


def _told(place: str, was: JsonValue, now: JsonValue, *, show: bool) -> str:
    if show:
        return f"{place}: {_short(was)} was expected and {_short(now)} came"
    if type(was) is not type(now):
        return f"{place}: a {_kind(now)} came in place of a {_kind(was)}"
    return f"{place}: another {_kind(was)} came"


def _short(value: JsonValue) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _kind(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "truth value"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"
