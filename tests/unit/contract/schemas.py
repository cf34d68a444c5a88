"""Hypothesis strategies: schemas as pydantic makes them, variations of them, and values that they allow."""

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from pipeline.worker.contract import Schema

Strategy = st.SearchStrategy[Any]

NAMES = st.sampled_from(["a", "b", "c", "rate", "sample_rate"])
PATTERNS = st.sampled_from(["^[a-c]+$", "^a", "^b{2}$"])
WORDS = st.sampled_from(["x", "y", "z", 1, 2, None, True])
SMALL = st.integers(-3, 6)


def optional(**keywords: Strategy) -> Strategy:
    """Some of these keywords."""
    return st.fixed_dictionaries({}, optional=keywords)


def typed(name: str, constraints: Strategy) -> Strategy:
    return constraints.map(lambda keywords: {"type": name, **keywords})


NUMBERS = optional(
    minimum=SMALL,
    maximum=SMALL,
    exclusiveMinimum=SMALL,
    exclusiveMaximum=SMALL,
    multipleOf=st.sampled_from([1, 2, 3, 6]),
)
TEXTS = st.one_of(
    optional(minLength=st.integers(0, 2), maxLength=st.integers(1, 4)),
    PATTERNS.map(lambda pattern: {"pattern": pattern}),
    st.sampled_from([{"format": "date-time"}, {"format": "date"}]),
)
ENUMS = st.lists(WORDS, min_size=1, max_size=3, unique_by=repr).map(lambda values: {"enum": values})
FEW = st.sampled_from([{"type": "integer"}, {"type": "string"}, {"const": "x"}])
COUNTS = optional(
    minItems=st.integers(0, 2),
    maxItems=st.integers(0, 3),
    uniqueItems=st.just(True),
    contains=FEW,
    minContains=st.integers(0, 2),
)

leaves = st.one_of(
    st.sampled_from([{}, {"type": "boolean"}, {"type": "null"}, {"$ref": "#/$defs/Tree"}]),
    typed("integer", NUMBERS),
    typed("number", NUMBERS),
    typed("string", TEXTS),
    ENUMS,
    WORDS.map(lambda value: {"const": value}),
)


def arrays(items: Strategy) -> Strategy:
    lists = st.builds(lambda item, counts: {"type": "array", "items": item, **counts}, items, COUNTS)
    return lists | st.lists(items, min_size=1, max_size=3).map(tuple_of)


def tuple_of(items: list[Schema]) -> Schema:
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def model_of(properties: Schema, needed: set[str], others: Schema) -> Schema:
    required = [name for name in properties if name in needed]
    return {"type": "object", "properties": properties, "required": required, **others}


def objects(fields: Strategy) -> Strategy:
    models = st.builds(
        model_of,
        st.dictionaries(NAMES, fields, max_size=3),
        st.sets(NAMES),
        optional(
            additionalProperties=st.just(False) | st.just(True) | fields,
            patternProperties=st.dictionaries(PATTERNS, fields, max_size=1),
            maxProperties=st.integers(0, 3),
        ),
    )
    dicts = st.builds(
        lambda values, others: {"type": "object", "additionalProperties": values, **others},
        fields,
        optional(
            propertyNames=st.sampled_from([{"enum": ["a", "b"]}, {"enum": ["a"]}, {"pattern": "^[a-c]+$"}]),
            minProperties=st.integers(0, 1),
            maxProperties=st.integers(1, 3),
        ),
    )
    patterned = st.dictionaries(PATTERNS, fields, min_size=1, max_size=2).map(
        lambda patterns: {"type": "object", "patternProperties": patterns}
    )
    return models | dicts | patterned


def combined(members: Strategy) -> Strategy:
    """Unions of all kinds, schemas that all hold at once, and one that must not hold."""
    keywords = st.sampled_from(["anyOf", "anyOf", "oneOf", "allOf"])
    several = st.lists(members, min_size=1, max_size=3)
    unions = st.builds(lambda keyword, branches: {keyword: branches}, keywords, several)
    return unions | st.builds(lambda member, no: {**member, "not": no}, members, FEW)


schemas = st.recursive(leaves, lambda below: arrays(below) | objects(below) | combined(below), max_leaves=6)


@st.composite
def documents(draw: st.DrawFn) -> Schema:
    """A whole schema with a recursive definition in it."""
    root: Schema = draw(schemas)
    return {**root, "$defs": {"Tree": draw(trees)}}


trees = leaves.map(
    lambda label: {
        "type": "object",
        "properties": {"label": label, "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
        "required": ["label"],
    }
)


@st.composite
def variations(draw: st.DrawFn, document: Schema) -> Schema:
    """`document` with a few things changed somewhere in it."""
    tree = document["$defs"]["Tree"]
    root = {key: value for key, value in document.items() if key != "$defs"}
    varied = draw(varied_node(root))
    return {**varied, "$defs": {"Tree": draw(varied_node(tree)) if draw(st.booleans()) else tree}}


def varied_node(node: Any) -> Strategy:
    if not isinstance(node, dict):
        return st.just(node)
    choices = [st.just(node), deeper(node)]
    if "$ref" not in node:
        choices += [schemas, st.just({"anyOf": [node, {"type": "null"}]}), retouched(node)]
    return st.one_of(choices)


@st.composite
def deeper(draw: st.DrawFn, node: Schema) -> Schema:
    """One sub-schema changed."""
    varied = dict(node)
    for key in ("items", "additionalProperties"):
        if key in varied and draw(st.booleans()):
            varied[key] = draw(varied_node(varied[key]))
    for key in ("prefixItems", "anyOf", "oneOf", "allOf"):
        if key in varied:
            at = draw(st.integers(0, len(varied[key]) - 1))
            varied[key] = [draw(varied_node(each)) if n == at else each for n, each in enumerate(varied[key])]
    for key in ("properties", "patternProperties"):
        if varied.get(key):
            name = draw(st.sampled_from(sorted(varied[key])))
            varied[key] = {**varied[key], name: draw(varied_node(varied[key][name]))}
    return varied


@st.composite
def retouched(draw: st.DrawFn, node: Schema) -> Schema:
    """One keyword dropped, or one field, value, branch or bound added."""
    loose = sorted(node.keys() - {"type", "anyOf", "oneOf", "allOf", "enum", "const", "prefixItems"})
    drops: bool = draw(st.booleans())
    if loose and drops:
        dropped = draw(st.sampled_from(loose))
        return {key: value for key, value in node.items() if key != dropped}
    if "enum" in node:
        return {"enum": node["enum"][1:] if drops else [*node["enum"], draw(WORDS)]}
    for key in ("anyOf", "oneOf", "allOf"):
        if key in node:
            return {key: [draw(leaves), *reversed(node[key])]}
    return draw(refitted(node))


@st.composite
def refitted(draw: st.DrawFn, node: Schema) -> Schema:
    """Other bounds, or another field."""
    match node.get("type"):
        case "object":
            added = {draw(NAMES): draw(leaves), **node.get("properties", {})}
            needed: set[str] = draw(st.sets(st.sampled_from(sorted(added))))
            return {**node, "properties": added, "required": sorted(needed)}
        case "integer" | "number":
            return {**node, **draw(NUMBERS), "type": draw(st.sampled_from(["integer", "number"]))}
        case "array":
            return {**node, **draw(COUNTS)}
    return {**node, **draw(TEXTS)}


ANYTHING: Strategy = st.recursive(
    st.none() | st.booleans() | SMALL | st.floats(-3, 6) | st.text("abx", max_size=3),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(NAMES, below, max_size=2),
    max_leaves=4,
)


def values(node: Any, root: Schema, depth: int = 0) -> Strategy:
    """What a writer with this schema sends: the fields that it declares, and others only if it says so."""
    if not isinstance(node, dict):
        return ANYTHING if node else st.nothing()
    if "$ref" in node:
        target = root["$defs"][node["$ref"].rpartition("/")[2]]
        return values(target, root, depth + 1) if depth < 3 else st.nothing()
    for key in ("anyOf", "oneOf", "allOf"):
        if key in node:
            return st.one_of([values(branch, root, depth) for branch in node[key]])
    listed = node.get("enum", [node["const"]] if "const" in node else None)
    if listed is not None:
        return st.sampled_from(listed) if listed else st.nothing()
    return of_type(node, root, depth)


def of_type(node: Schema, root: Schema, depth: int) -> Strategy:
    match node.get("type"):
        case "array":
            return lists(node, root, depth)
        case "object":
            return dicts_of(node, root, depth)
        case "string":
            return texts(node)
    return SCALARS.get(node.get("type", ""), ANYTHING)


SCALARS: dict[str, Strategy] = {
    "integer": SMALL | st.integers(),
    "number": SMALL | st.floats(-4, 7) | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "null": st.none(),
}


def texts(node: Schema) -> Strategy:
    if "pattern" in node:
        return st.from_regex(node["pattern"])
    if node.get("format") == "date-time":
        return st.datetimes().map(datetime.isoformat)
    if node.get("format") == "date":
        return st.dates().map(str)
    return st.text("abx", max_size=5)


def lists(node: Schema, root: Schema, depth: int) -> Strategy:
    if "prefixItems" in node:
        return st.tuples(*(values(item, root, depth) for item in node["prefixItems"])).map(list)
    items = values(node.get("items", True), root, depth)
    if items.is_empty:
        return st.just([])
    return st.lists(items, max_size=4)


def dicts_of(node: Schema, root: Schema, depth: int) -> Strategy:
    declared = {name: values(field, root, depth) for name, field in node.get("properties", {}).items()}
    patterns = [
        st.dictionaries(st.from_regex(pattern, fullmatch=True), values(field, root, depth), max_size=2)
        for pattern, field in node.get("patternProperties", {}).items()
    ]
    more = node.get("additionalProperties", "properties" not in node and not patterns)
    others = st.dictionaries(NAMES | st.text("abc", max_size=2), values(more, root, depth), max_size=2)
    possible = {name: strategy for name, strategy in declared.items() if not strategy.is_empty}
    return st.tuples(others, *patterns, optional(**possible)).map(
        lambda together: {name: value for each in together for name, value in each.items()}
    )
