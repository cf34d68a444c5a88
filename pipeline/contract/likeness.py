"""Which member of a union was meant, and how to name what is taken."""

import json
from collections.abc import Iterable

from pipeline.contract.findings import digest, shown
from pipeline.contract.schema import TYPES, types_of, types_of_value
from pipeline.worker.contract import Schema

# How like two alternatives are: same type, no tag that differs, tags that agree, same title, shared fields.
NOTHING_ALIKE = (0,)
SAME_TYPE = (1, 1)
SHOWN = 10


def alike(reader: Schema, writer: Schema) -> tuple[int, ...]:
    """How like two alternatives are; more is greater."""
    if "const" in reader or "const" in writer:
        return NOTHING_ALIKE
    if writer["type"] not in taken_types(reader) and reader["type"] not in taken_types(writer):
        return NOTHING_ALIKE
    ours, theirs = tags(reader), tags(writer)
    agreeing = [ours[name] == theirs[name] for name in ours.keys() & theirs.keys()]
    titled = reader.get("title") == writer.get("title")
    fields = reader.get("properties", {}).keys() & writer.get("properties", {}).keys()
    return (1, all(agreeing), sum(agreeing), titled, len(fields))


def disjoint(reader: Schema, writer: Schema) -> bool:
    """Whether no value can be both; `writer` has a type."""
    if "const" in reader:
        return writer["type"] not in types_of_value(reader["const"])
    if writer["type"] not in taken_types(reader) and reader["type"] not in taken_types(writer):
        return True
    ours, theirs = tags(reader), tags(writer)
    always = {*reader.get("required", ()), *writer.get("required", ())}
    return any(ours[name] != theirs[name] for name in ours.keys() & theirs.keys() & always)


def tags(option: Schema) -> dict[str, str]:
    """The fields that can have one value only, as a discriminator has."""
    fields = option.get("properties", {}).items()
    return {
        name: shown(field["const"]) for name, field in fields if isinstance(field, dict) and "const" in field
    }


def taken_types(schema: Schema) -> tuple[str, ...]:
    """The types that a schema takes: who takes numbers takes whole ones."""
    named = types_of(schema)
    return (*named, "integer") if "number" in named else named


def choice(part: Schema) -> str:
    """The values of an enumeration, the first of them if they are many."""
    values = part["enum"] if "enum" in part else [part["const"]]
    rest = json.dumps(values[SHOWN:]) if len(values) > SHOWN else ""
    return any_of(shown(value) for value in values[:SHOWN]) + (f" …#{digest(rest)}" if rest else "")


def any_of(words: Iterable[str]) -> str:
    """Types or values as people list them."""
    listed = list(words)
    if set(TYPES) <= {*listed, "null"}:
        return "anything"
    return " or ".join(listed) or "nothing"
