"""What a writer with a given schema sends."""

import math
from collections.abc import Collection, Iterator

from pipeline.contract.payload import validator
from pipeline.contract.schema import Node
from pipeline.worker.contract import Schema


def item(schema: Schema, index: int) -> Node:
    """The schema of one item of an array."""
    prefix: list[Node] = schema.get("prefixItems", [])
    rest: Node = schema.get("items", True)
    return prefix[index] if index < len(prefix) else rest


def sends_more(option: Schema) -> Node | None:
    """The schema of the fields that the writer sends beside those it declares; None if it sends no others."""
    if "additionalProperties" in option:
        more: Node = option["additionalProperties"]
        return None if more is False else more
    declares = "properties" in option or "patternProperties" in option
    return None if declares else True


def most_fields(option: Schema) -> float:
    """How many fields the writer sends at most."""
    if sends_more(option) is not None or option.get("patternProperties"):
        return math.inf
    return len(declared(option))


def declared(option: Schema) -> Collection[str]:
    """The names of the fields that the writer sends, or may."""
    return dict.fromkeys((*option.get("properties", ()), *option.get("required", ())))


def sent_as(option: Schema, name: str) -> Node | None:
    """What the writer may send under a name; None if it never does."""
    properties: dict[str, Node] = option.get("properties", {})
    if name in properties:
        return properties[name]
    more = next((node for _, node in matching(option, name)), sends_more(option))
    return True if more is None and name in option.get("required", ()) else more


def matching(schema: Schema, name: str) -> Iterator[tuple[str, Node]]:
    """The `patternProperties` that a field of this name falls under."""
    for pattern, node in schema.get("patternProperties", {}).items():
        if validator({"pattern": pattern}).is_valid(name):
            yield pattern, node
