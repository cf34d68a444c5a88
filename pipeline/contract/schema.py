"""A JSON Schema document, taken apart so that two of them can be compared.

A schema is a conjunction (its own keywords, what it refers to, `allOf`) of disjunctions (`anyOf`, lists of
types, enumerations). A reader has to be satisfied in all its *parts*; a writer may send any of its
*alternatives*.
Sub-schemas keep their identity, so that a comparison of recursive models meets the same pair again and ends.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from pipeline.worker.contract import Schema

Node = Schema | bool

TYPES = ("null", "boolean", "number", "string", "array", "object")
ANNOTATIONS = frozenset(
    ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly")
)
UNRESOLVED = "unresolved $ref"  # not a keyword: it stands for a reference that leads nowhere
NOTHING: Schema = {"enum": []}
MAX_ALTERNATIVES = 2000  # a contract is text that a stranger may have written: nested unions multiply


class Document:
    """One JSON Schema with its `$defs`."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.definitions = root.get("$defs", {}) if isinstance(root, dict) else {}
        self._alternatives: dict[int, tuple[Schema, ...]] = {}
        self._unresolved: dict[str, Schema] = {}
        self._kept: list[Node] = []  # known by their id, so they must live as long as this does

    def named(self, node: Node) -> Node:
        """What a bare reference refers to, so that a model is the same one wherever it is used."""
        seen = set[int]()
        while isinstance(node, dict) and "$ref" in node and id(node) not in seen:
            if node.keys() - ANNOTATIONS - {"$ref", "$defs"}:
                break
            seen.add(id(node))
            node = self._target(node["$ref"])
        return node

    def parts(self, node: Node) -> Iterator[Schema]:
        """Every schema that a value of `node` has to satisfy by its own keywords."""
        pending, seen = [node], set[int]()
        while pending:
            part = pending.pop()
            if id(part) in seen:
                continue
            seen.add(id(part))
            if part is False:
                yield NOTHING
            elif isinstance(part, dict):
                yield part
                pending.extend(part.get("allOf", ()))
                if "$ref" in part:
                    pending.append(self._target(part["$ref"]))

    def alternatives(self, node: Node) -> tuple[Schema, ...]:
        """What `node` may be, each with one `type` or one `const` and with neither unions nor references.

        Where the whole cannot be said exactly, it says more than `node` allows, never less.
        """
        known = self._alternatives.get(id(node))
        if known is None:
            self._kept.append(node)
            # What a union that contains itself allows is for each validator to say, so it may be anything.
            self._alternatives[id(node)] = tuple(self._keep(_split({})))
            known = tuple(self._keep(self._expand(node)))
            self._alternatives[id(node)] = known
        return known

    def _expand(self, node: Node) -> Iterable[Schema]:
        parts = list(self.parts(node))
        whole = _merged(parts)
        if whole is None:
            return ()
        union = next((part for part in parts if "anyOf" in part or "oneOf" in part), None)
        if union is None:
            return _split(whole)
        branches = union["anyOf"] if "anyOf" in union else union["oneOf"]
        if tag := tag_of(union):
            whole["required"] = [*whole.get("required", ()), tag]
        found = {id(option): option for branch in branches for option in self.alternatives(branch)}
        if len(found) > MAX_ALTERNATIVES:
            return _split({})
        whole.pop("title", None)
        narrowed = (_merged((option, whole)) if whole else option for option in found.values())
        return [option for option in narrowed if option is not None]

    def _keep(self, options: Iterable[Schema]) -> Iterator[Schema]:
        for option in options:
            self._kept.append(option)
            self._alternatives[id(option)] = (option,)
            yield option

    def _nowhere(self, reference: str) -> Node:
        return self._unresolved.setdefault(reference, {UNRESOLVED: reference})

    def _target(self, reference: str) -> Node:
        place: Any = self.root
        if not reference.startswith("#/$defs/"):
            return self._nowhere(reference)
        for step in reference.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if not isinstance(place, Mapping) or name not in place:
                return self._nowhere(reference)
            place = place[name]
        return place if isinstance(place, dict | bool) else self._nowhere(reference)


# Each of these says nothing without its neighbours, so they are taken from one part.
_TOGETHER = (("prefixItems", "items"), ("if", "then", "else"), ("contains", "minContains", "maxContains"))
_NOT_MERGED = (ANNOTATIONS - {"title"}) | {
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "discriminator",
    "$defs",
    "properties",
    "patternProperties",
    "required",
}


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it: `true` is not 1."""
    return bool(one == other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def tag_of(union: Schema) -> str | None:
    """The field that every object of a tagged union has to have, even where each branch has a default for it."""
    match union.get("discriminator"):
        case {"propertyName": str(name)}:
            return name
    return None


def types_of(schema: Schema) -> tuple[str, ...]:
    """The JSON types that `schema` names; all of them where it names none."""
    named = schema.get("type", TYPES)
    return (named,) if isinstance(named, str) else tuple(named)


def types_of_value(value: Any) -> tuple[str, ...]:
    """The JSON types that a value may count as."""
    match value:
        case None:
            return ("null",)
        case bool():
            return ("boolean",)
        case int() | float():
            return ("number", "integer")
        case str():
            return ("string",)
    return ("array",) if isinstance(value, list) else ("object",)


def _merged(parts: Iterable[Schema]) -> Schema | None:
    """One schema that allows at least what satisfies all `parts`; None where nothing can.

    Of two values of one keyword the first is kept: the result may allow more, which errs on the safe side.
    """
    whole: Schema = {}
    for part in parts:
        if "type" in whole and "type" in part:
            common = [name for name in types_of(whole) if _may_be(name, types_of(part))]
            if not common:
                return None
            whole["type"] = common[0] if len(common) == 1 else common
        held = {key for group in _TOGETHER if not whole.keys().isdisjoint(group) for key in group}
        for key in part.keys() - _NOT_MERGED - held:
            whole.setdefault(key, part[key])
        for key in ("properties", "patternProperties"):
            if key in part:
                whole[key] = {**part[key], **whole.get(key, {})}
        if "required" in part:
            whole["required"] = [*whole.get("required", ()), *part["required"]]
    return whole


def _may_be(name: str, others: tuple[str, ...]) -> bool:
    return (
        name in others
        or (name == "integer" and "number" in others)
        or (name == "number" and "integer" in others)
    )


def _split(whole: Schema) -> Iterator[Schema]:
    """One alternative for each value of an enumeration, else one for each type."""
    if "const" in whole:
        yield {"const": whole["const"]}
    elif "enum" in whole:
        yield from ({"const": value} for value in whole["enum"])
    else:
        for name in types_of(whole):
            yield {"const": None} if name == "null" else {**whole, "type": name}
