"""Whether a reader's schema accepts whatever a writer's schema allows, and if not, where and why not.

For inputs the callers of the old build write and the new build reads; for outputs the new build writes and
those who hold the old schema read. A writer sends the fields that it declares; it does not send others unless
its schema says so with `additionalProperties` or `patternProperties`.
"""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from pipeline.contract.findings import NOT_SET, Finding, Kind, Side, child, shown
from pipeline.contract.keywords import tighter_count, tighter_number, tighter_string, undecidable
from pipeline.contract.likeness import (
    NOTHING_ALIKE,
    SAME_TYPE,
    alike,
    any_of,
    choice,
    disjoint,
    tags,
    taken_types,
)
from pipeline.contract.payload import UNUSABLE, validator
from pipeline.contract.schema import UNRESOLVED, Document, Node, same, tag_of, types_of
from pipeline.contract.sending import declared, item, matching, most_fields, sends_more, sent_as
from pipeline.worker.contract import Schema

Pair = tuple[int, int]

OBJECT_KEYWORDS = frozenset(
    (
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
    )
)
ANY_NAME: Schema = {"type": "string"}


class Subsumption:
    """One reader and one writer.

    Recursive schemas are compared as the greatest fixed point: every pair of sub-schemas counts as accepted
    until it is refuted, and the comparison is made again until a pass refutes no more.
    """

    def __init__(self, reader: Node, writer: Node, side: Side) -> None:
        self._reader = Document(reader)
        self._writer = Document(writer)
        self._side = side
        self._same_definitions = same(self._reader.definitions, self._writer.definitions)
        self._refused: set[Pair] = set()
        self._proved: set[Pair] = set()
        self._visited: set[Pair] = set()
        self._explaining = False
        self._explained: dict[Pair, str] = {}
        self._open: set[Pair] = set()

    def findings(self) -> list[Finding]:
        """Every difference, breaking or not, each with its path."""
        self._explaining = True
        return list(self._below(self._reader.root, self._writer.root, "$"))

    def _accepts(self, reader: Node, writer: Node) -> bool:
        if not self._explaining:
            return self._holds(reader, writer)
        self._explaining = False
        accepted = self._settled(reader, writer)
        self._explaining = True
        return accepted

    def _settled(self, reader: Node, writer: Node) -> bool:
        while True:
            refused = len(self._refused)
            self._visited = set()
            accepted = self._holds(reader, writer)
            if len(self._refused) == refused:
                self._proved |= self._visited - self._refused
                return accepted

    def _holds(self, reader: Node, writer: Node) -> bool:
        pair = self._pair(reader, writer)
        if pair in self._refused:
            return False
        if pair in self._proved or pair in self._visited:
            return True
        self._visited.add(pair)
        if any(finding.breaking for finding in self._compare(reader, writer, "$")):
            self._refused.add(pair)
            return False
        return True

    def _pair(self, reader: Node, writer: Node) -> Pair:
        return id(self._reader.named(reader)), id(self._writer.named(writer))

    def _below(self, reader: Node, writer: Node, path: str) -> Iterator[Finding]:
        """What is found in a pair of sub-schemas; a pair that was explained elsewhere is only pointed at."""
        if not self._explaining:
            if not self._holds(reader, writer):
                yield Finding(Kind.REPEATED, path)
            return
        pair = self._pair(reader, writer)
        if pair not in self._explained:
            self._explained[pair] = path
            self._open.add(pair)
            yield from self._compare(reader, writer, path)
            self._open.remove(pair)
        elif pair not in self._open and path != self._explained[pair] and not self._accepts(reader, writer):
            yield Finding(Kind.REPEATED, path, taken=self._explained[pair])

    def _compare(self, reader: Node, writer: Node, path: str) -> Iterator[Finding]:
        if self._same_definitions and same(reader, writer):
            return
        for option in self._writer.alternatives(writer):
            for part in self._reader.parts(reader):
                yield from self._refusals(part, option, path)

    def _refusals(self, part: Schema, option: Schema, path: str) -> Iterator[Finding]:
        if UNRESOLVED in part:
            yield Finding(Kind.UNDECIDED, path, "$ref", (NOT_SET,), shown(part[UNRESOLVED]))
        elif "const" in option:
            yield from self._value(part, option["const"], path)
        elif option["type"] not in taken_types(part):
            yield Finding(Kind.TYPE, path, "", (option["type"],), any_of(types_of(part)))
        elif "enum" in part or "const" in part:
            yield Finding(Kind.CHOICE, path, "", (option["type"],), choice(part))
        else:
            yield from self._unions(part, option, path)
            yield from self._keywords(part, option, path)
            yield from undecidable(part, option, path, same_definitions=self._same_definitions)

    def _value(self, part: Schema, value: Any, path: str) -> Iterator[Finding]:
        if self._reader_takes(part, value):
            return
        if value is None:
            yield Finding(Kind.NULL, path)
        else:
            yield Finding(Kind.VALUE, path, "", (shown(value),), self._described(part))

    def _reader_takes(self, part: Schema, value: Any) -> bool:
        try:
            return validator({"allOf": [part], "$defs": self._reader.definitions}).is_valid(value)
        except UNUSABLE:  # it refers to what the contract does not contain
            return False

    def _keywords(self, part: Schema, option: Schema, path: str) -> Iterator[Finding]:
        match option["type"]:
            case "integer" | "number":
                yield from tighter_number(part, option, path)
            case "string":
                yield from tighter_string(part, option, path)
                if "contentSchema" in part:
                    yield from self._below(part["contentSchema"], option.get("contentSchema", True), path)
            case "array":
                yield from self._array(part, option, path)
            case "object" if OBJECT_KEYWORDS & part.keys():
                yield from self._object(part, option, path)

    # Unions

    def _unions(self, part: Schema, option: Schema, path: str) -> Iterator[Finding]:
        for keyword in ("anyOf", "oneOf"):
            if keyword in part:
                yield from self._union(part[keyword], option, path)
        tag = tag_of(part)
        if tag is not None and option["type"] == "object" and not self._always(option, tag):
            yield self._maybe_missing(child(path, tag))
        if "oneOf" in part and tag is None and self._overlap(part["oneOf"], option):
            yield Finding(Kind.UNDECIDED, path, "oneOf", (NOT_SET,), NOT_SET)

    def _union(self, branches: list[Node], option: Schema, path: str) -> Iterator[Finding]:
        nearest = sorted(branches, key=lambda branch: self._likeness(branch, option), reverse=True)
        chosen = next((branch for branch in nearest if self._accepts(branch, option)), None)
        if chosen is not None:
            yield from self._below(chosen, option, path)
            return
        likeness = self._likeness(nearest[0], option) if nearest else NOTHING_ALIKE
        if likeness == NOTHING_ALIKE:
            yield Finding(Kind.TYPE, path, "", (option["type"],), self._described(*branches))
        elif likeness < SAME_TYPE:
            yield from self._unknown_tag(branches, option, path)
        else:
            yield from self._below(nearest[0], option, path)

    def _unknown_tag(self, branches: list[Node], option: Schema, path: str) -> Iterator[Finding]:
        sent = tags(option)
        known = [tags(other) for branch in branches for other in self._reader.alternatives(branch)]
        name = next(
            name for name in sent if any(sent[name] != other.get(name, sent[name]) for other in known)
        )
        taken = any_of(dict.fromkeys(other[name] for other in known if name in other))
        yield Finding(Kind.VALUE, child(path, name), "", (sent[name],), taken)

    def _likeness(self, branch: Node, option: Schema) -> tuple[int, ...]:
        return max(
            (alike(other, option) for other in self._reader.alternatives(branch)), default=NOTHING_ALIKE
        )

    def _overlap(self, branches: list[Node], option: Schema) -> bool:
        """Whether one value might fall under two branches."""
        reached = [
            branch
            for branch in branches
            if not all(disjoint(each, option) for each in self._reader.alternatives(branch))
        ]
        return len(reached) > 1

    # Arrays

    def _array(self, part: Schema, option: Schema, path: str) -> Iterator[Finding]:
        ours, theirs = part.get("prefixItems", []), option.get("prefixItems", [])
        most = option.get("maxItems", float("inf"))
        if option.get("items") is False:
            most = min(most, len(theirs))
        yield from tighter_count(part, option, path, "Items", most=most)
        if part.get("uniqueItems") and not option.get("uniqueItems") and most > 1:
            yield Finding(Kind.LIMIT, path, "uniqueItems", (NOT_SET,), "true")
        reached = min(max(len(ours), len(theirs)), most)
        for index in range(int(reached)):
            yield from self._below(item(part, index), item(option, index), f"{path}[{index}]")
        if most > reached:
            yield from self._below(part.get("items", True), option.get("items", True), f"{path}[*]")

    # Objects

    def _object(self, part: Schema, option: Schema, path: str) -> Iterator[Finding]:
        yield from self._declared(part, option, path)
        yield from self._undeclared(part, option, path)
        yield from self._names(part, option, path)
        least = len(set(option.get("required", ())))
        yield from tighter_count(part, option, path, "Properties", least=least, most=most_fields(option))

    def _declared(self, part: Schema, option: Schema, path: str) -> Iterator[Finding]:
        """The fields that the reader knows by name."""
        needed = dict.fromkeys(part.get("required", ()))
        known = {**dict.fromkeys(needed, True), **part.get("properties", {})}
        renamed = self._renamed(part, option)
        for name, schema in known.items():
            below = child(path, name)
            if name in renamed:
                yield self._rename(path, name, renamed[name])
                continue
            sent = sent_as(option, name)
            if sent is None:
                yield self._never_sent(name in needed, below)
                continue
            if name in needed and not self._always(option, name):
                yield self._maybe_missing(below)
            yield from self._below(schema, sent, below)

    def _always(self, option: Schema, name: str) -> bool:
        """Whether the writer never leaves a field out: a build writes the defaults of what it gives."""
        field = option.get("properties", {}).get(name)
        filled_in = self._side == "output" and isinstance(field, dict) and "default" in field
        return filled_in or name in option.get("required", ())

    def _maybe_missing(self, path: str) -> Finding:
        return Finding(Kind.FIELD_OPTIONAL if self._side == "output" else Kind.FIELD_REQUIRED, path)

    def _never_sent(self, needed: bool, path: str) -> Finding:
        if self._side == "output":
            return Finding(Kind.FIELD_GONE, path)
        return Finding(Kind.FIELD_REQUIRED if needed else Kind.FIELD_NEW, path)

    def _undeclared(self, part: Schema, option: Schema, path: str) -> Iterator[Finding]:
        """The fields that the reader does not know by name."""
        renamed = set(self._renamed(part, option).values())
        for name in declared(option):
            sent, below = sent_as(option, name), child(path, name)
            if sent is None:
                continue
            covering = dict(matching(part, name))
            # What falls under a pattern that both have is compared there.
            common = option.get("patternProperties", {})
            for schema in (node for pattern, node in covering.items() if pattern not in common):
                yield from self._below(schema, sent, below)
            if not covering and name not in part.get("properties", {}) and name not in renamed:
                yield from self._unknown_field(part, sent, below)
        yield from self._patterned(part, option, path)
        more, taken = sends_more(option), part.get("additionalProperties", True)
        if more is None:
            # Callers may send what the old build ignored; what a build itself gives is what it declares.
            if (
                self._side == "input"
                and taken is not True
                and taken != {}
                and "additionalProperties" not in option
            ):
                yield Finding(Kind.UNKNOWN_FIELDS, path)
        elif taken is False:
            yield Finding(Kind.UNKNOWN_FIELDS, path)
        else:
            yield from self._below(taken, more, f"{path}.*")

    def _unknown_field(self, part: Schema, sent: Node, path: str) -> Iterator[Finding]:
        taken = part.get("additionalProperties")
        if taken is False:
            yield Finding(Kind.FIELD_REFUSED, path)
        elif isinstance(taken, dict):
            yield from self._below(taken, sent, path)
        else:
            yield Finding(Kind.FIELD_NEW if self._side == "output" else Kind.FIELD_IGNORED, path)

    def _patterned(self, part: Schema, option: Schema, path: str) -> Iterator[Finding]:
        """Fields by pattern. A name may fall under several: each that only the reader has must take all."""
        ours, theirs = part.get("patternProperties", {}), option.get("patternProperties", {})
        for pattern, schema in theirs.items():
            below = f"{path}[{shown(pattern)}]"
            if pattern in ours:
                yield from self._below(ours[pattern], schema, below)
            else:
                yield from self._below(part.get("additionalProperties", True), schema, below)
        more = sends_more(option)
        for pattern in ours.keys() - theirs.keys():
            for schema in (*theirs.values(), *(() if more is None else (more,))):
                yield from self._below(ours[pattern], schema, f"{path}[{shown(pattern)}]")

    def _names(self, part: Schema, option: Schema, path: str) -> Iterator[Finding]:
        taken = part.get("propertyNames")
        if taken is None:
            return
        below = f"{path}.<name>"
        if "propertyNames" in option:
            for each in self._writer.alternatives(option["propertyNames"]):
                if isinstance(each.get("const", ""), str) and each.get("type", "string") == "string":
                    yield from self._below(taken, each, below)
            return
        for name in declared(option):
            for each in self._reader.parts(taken):
                yield from self._value(each, name, below)
        if sends_more(option) is not None or option.get("patternProperties"):
            yield from self._below(taken, ANY_NAME, below)

    def _renamed(self, part: Schema, option: Schema) -> dict[str, str]:
        """Fields that the reader needs and never gets, each with the likeliest one that it does not know."""
        sent, known = option.get("properties", {}), part.get("properties", {})
        if sends_more(option) is not None:
            return {}
        unknown = {name: schema for name, schema in sent.items() if name not in known}
        found: dict[str, str] = {}
        for name in part.get("required", ()):
            if name in known and sent_as(option, name) is None:
                alike = [other for other in unknown if self._accepts(known[name], unknown[other])]
                if alike:
                    found[name] = max(alike, key=lambda other: SequenceMatcher(None, name, other).ratio())
                    del unknown[found[name]]
        return found

    def _rename(self, path: str, reader_name: str, writer_name: str) -> Finding:
        old, new = (reader_name, writer_name) if self._side == "output" else (writer_name, reader_name)
        return Finding(Kind.FIELD_RENAMED, child(path, old), old, taken=shown(new))

    def _described(self, *nodes: Node) -> str:
        """What the reader takes, in a few words."""
        options = [option for node in nodes for option in self._reader.alternatives(node)]
        return any_of(
            dict.fromkeys(shown(each["const"]) if "const" in each else each["type"] for each in options)
        )
