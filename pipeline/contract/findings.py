"""What a comparison finds, before it is put into words for callers or for readers."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import Any, Literal

Side = Literal["input", "output"]
NOT_SET = "not set"


class Kind(StrEnum):
    """What changed. The words depend on the side."""

    ACTIVITY_GONE = "activity-gone"
    ACTIVITY_NEW = "activity-new"
    ARGUMENT = "argument"
    RESULT_GONE = "result-gone"
    RESULT_NEW = "result-new"
    FIELD_NEW = "field-new"
    FIELD_GONE = "field-gone"
    FIELD_IGNORED = "field-ignored"
    FIELD_REQUIRED = "field-required"
    FIELD_OPTIONAL = "field-optional"
    FIELD_RENAMED = "field-renamed"
    FIELD_REFUSED = "field-refused"
    UNKNOWN_FIELDS = "unknown-fields-refused"
    TYPE = "type"
    NULL = "null"
    VALUE = "value"
    CHOICE = "choice"
    LIMIT = "limit"
    UNDECIDED = "undecided"
    REPEATED = "repeated"
    RELAXED = "relaxed"


COMPATIBLE = frozenset({Kind.ACTIVITY_NEW, Kind.RESULT_NEW, Kind.FIELD_NEW, Kind.FIELD_IGNORED, Kind.RELAXED})


@dataclass(frozen=True)
class Finding:
    """One difference between what is sent and what is taken; the words in it are safe to print."""

    kind: Kind
    path: str
    name: str = ""
    sent: tuple[str, ...] = ()
    taken: str = ""

    @property
    def breaking(self) -> bool:
        """Whether somebody's call fails by it."""
        return self.kind not in COMPATIBLE


def joined(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Each finding once; types and values that are refused in one place become one finding."""

    def place(finding: Finding) -> tuple[str, ...]:
        alone = () if finding.kind in (Kind.TYPE, Kind.VALUE) else finding.sent
        return (finding.path, finding.kind, finding.name, *alone)

    order = list(dict.fromkeys(findings))
    first = {place(finding): index for index, finding in reversed(list(enumerate(order)))}
    order.sort(key=lambda finding: first[place(finding)])
    for _, same in groupby(order, key=place):
        group = list(same)
        yield replace(group[0], sent=tuple(dict.fromkeys(word for finding in group for word in finding.sent)))


def shown(value: Any, limit: int = 60) -> str:
    """A value from a stranger's schema as one short line of JSON without control characters.

    One that is cut ends in a digest of the whole: lines are compared, and approved, in the values' place.
    """
    text = json.dumps(value, ensure_ascii=False)
    if not text.isprintable():
        text = json.dumps(value)
    return text if len(text) <= limit else f"{text[: limit - 8]}…#{digest(text)}"


def digest(text: str) -> str:
    """A few digits that tell long texts apart."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:6]


def child(path: str, name: str) -> str:
    """The path of a field."""
    plain = name.replace("_", "").isalnum() and name.isprintable() and len(name) <= 100  # noqa: PLR2004
    return f"{path}.{name}" if plain else f"{path}[{shown(name)}]"
