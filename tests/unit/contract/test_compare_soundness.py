"""What the comparison calls compatible is accepted, by a real validator, for every value that can be sent."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pipeline.contract import Kind, Side, check_payload, compare
from pipeline.worker.contract import Contract, Schema
from tests.unit.contract.contracts import of_schemas
from tests.unit.contract.schemas import documents, values, variations

thorough = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def contract_on(side: Side, schema: Schema) -> Contract:
    return of_schemas(argument=schema) if side == "input" else of_schemas(result=schema)


def sent_by(data: st.DataObject, side: Side, schema: Schema) -> Any:
    """A value of the schema; the strategy may miss a constraint, so the validator has the last word."""
    strategy = values(schema, schema)
    assume(not strategy.is_empty)
    value = data.draw(strategy)
    assume(not check_payload(contract_on(side, schema), "identify", side, value))
    return value


@pytest.mark.parametrize("side", ["input", "output"])
@given(data=st.data())
@thorough
def test_what_is_called_compatible_is_accepted(side: Side, data: st.DataObject) -> None:
    old = data.draw(documents())
    new = data.draw(variations(old))
    writer, reader = (old, new) if side == "input" else (new, old)
    value = sent_by(data, side, writer)
    refused = check_payload(contract_on(side, reader), "identify", side, value)
    changes = compare(contract_on(side, old), contract_on(side, new))

    assert not refused or any(change.breaking for change in changes)


@given(document=documents())
@thorough
def test_nothing_changes_between_a_schema_and_itself(document: Schema) -> None:
    # Whether only one branch holds, and whether any value is left by several, is not always decided.
    assume(not {"oneOf", "allOf", "not"} & set(json.dumps(document).split('"')))
    renamed = json.loads(json.dumps(document).replace("Tree", "Baum"))
    shuffled = reordered(renamed)

    for side in ("input", "output"):
        old = contract_on(side, document)
        assert compare(old, contract_on(side, json.loads(json.dumps(document)))) == ()
        assert not [each for each in compare(old, contract_on(side, shuffled)) if each.breaking]


def reordered(node: Any) -> Any:
    """The same schema with its keys, values and branches the other way round, and with harmless words."""
    match node:
        case dict():
            turned = {
                key: value[::-1] if key in ("enum", "required") else reordered(value)
                for key, value in reversed(node.items())
            }
            if "anyOf" in turned:
                turned["anyOf"] = turned["anyOf"][::-1]
            return turned
        case list():
            return [reordered(each) for each in node]
    return node


def test_titles_descriptions_and_defaults_are_harmless() -> None:
    plain = {"type": "object", "properties": {"a": {"type": "integer"}}}
    worded = {
        "type": "object",
        "title": "T",
        "description": "d",
        "properties": {"a": {"type": "integer", "title": "A", "default": 3, "examples": [1]}},
    }

    for side in ("input", "output"):
        assert compare(contract_on(side, plain), contract_on(side, worded)) == ()


def fields(**keywords: Any) -> Schema:
    return {"type": "object", "properties": {"a": {}}, **keywords}


def holding(kind: str, **keywords: Any) -> Schema:
    return {**keywords, "$defs": {"Held": {"type": kind}}}


HELD = {"$ref": "#/$defs/Held"}
WHOLE = {"type": "integer"}
TAGGED = {name: {"type": "object", "properties": {"kind": {"const": name}}} for name in "ab"}
NEEDED = {name: {**model, "required": ["kind"]} for name, model in TAGGED.items()}


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        (holding("integer", **{"not": HELD}), holding("string", **{"not": HELD}), True),
        (
            {"type": "array", "contains": WHOLE, "minContains": 0},
            {"type": "array", "contains": WHOLE},
            True,
        ),
        (
            {"properties": {"a": {}, "b": {}}, "unevaluatedProperties": False},
            {"properties": {"a": {}}, "unevaluatedProperties": False},
            True,
        ),
        (fields(), fields(patternProperties={"^a": WHOLE}), True),
        (
            fields(patternProperties={"^a": WHOLE}, title="old"),
            fields(patternProperties={"^a": WHOLE}),
            False,
        ),
        (fields(patternProperties={"^b": {}}), fields(patternProperties={"^b": {}}, maxProperties=2), True),
        (
            {"allOf": [{"prefixItems": [{}, WHOLE], "items": False}, {"type": "array", "prefixItems": [{}]}]},
            {"type": "array", "maxItems": 1},
            True,
        ),
        (WHOLE, {"oneOf": [WHOLE, {"const": 5}]}, True),
        (WHOLE, {"oneOf": [WHOLE, {"const": None}, {"const": "5"}]}, False),
        (TAGGED["a"], {"oneOf": list(TAGGED.values())}, True),
        (NEEDED["a"], {"oneOf": list(NEEDED.values())}, False),
        ({"propertyNames": {"minLength": 2}}, {"propertyNames": {"type": "string"}}, False),
        ({"propertyNames": {"minLength": 1}}, {"propertyNames": {"minLength": 2}}, True),
    ],
    ids=lambda value: str(value)[:60],
)
def test_keywords_that_act_on_each_other_are_judged_together(old: Schema, new: Schema, breaks: bool) -> None:
    changes = compare(of_schemas(argument=old), of_schemas(argument=new))

    assert any(change.breaking for change in changes) == breaks


# Schemas that a stranger wrote to make us run for ever, fail, fetch or print


def doubling(levels: int) -> Schema:
    """Unions of unions: 2 ** levels paths."""
    steps: dict[str, Schema] = {
        f"L{n}": {"anyOf": [{"$ref": f"#/$defs/L{n + 1}"}, {"$ref": f"#/$defs/L{n + 1}"}], "minimum": n}
        for n in range(levels)
    }
    return {"$ref": "#/$defs/L0", "$defs": {**steps, f"L{levels}": {"type": "integer"}}}


def entangled(size: int, kind: str) -> Schema:
    """Models that all have fields of each other's type."""
    names = [f"M{n}" for n in range(size)]
    fields = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    models = {name: {"type": "object", "properties": fields} for name in names}
    models["M0"] = {"type": "object", "properties": {**fields, "end": {"type": kind}}}
    return {"$ref": "#/$defs/M1", "$defs": models}


def nested(depth: int) -> Schema:
    schema: Schema = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        (doubling(60), {"type": "integer"}, True),
        ({"type": "string"}, doubling(60), True),
        (entangled(12, "integer"), entangled(12, "string"), True),
        (entangled(12, "integer"), entangled(12, "number"), False),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, {"type": "integer"}, True),
        ({"type": "integer"}, {"$ref": "http://127.0.0.1:9/schema"}, True),
        ({"type": "integer"}, {"$ref": "#/$defs/Missing"}, True),
        ({"type": "integer"}, {"type": "nonsense"}, True),
        ({"type": "object", "properties": {"a": {}}}, {"patternProperties": {"(": {}}}, True),
        ({"enum": ["a"]}, {"$ref": "#"}, True),
        ({"const": 1}, {"const": True}, True),
        ({"not": {"const": 1}}, {"not": {"const": True}}, True),
        (
            {"anyOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}},
            {"const": 1},
            True,
        ),
        (
            {"type": "integer", "minimum": 10**400},
            {"type": "integer", "minimum": 1e308, "multipleOf": 2.0},
            True,
        ),
        (nested(800), nested(801), True),
        ({"enum": ["a" * 40]}, {"type": "string", "pattern": "^(?:(a+)+)(?!a)b$"}, True),
        ({"type": "integer"}, {"type": "integer", "not": {"const": 3}}, True),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_hostile_schema_is_compared_to_an_end(old: Schema, new: Schema, breaks: bool) -> None:
    changes = compare(of_schemas(argument=old), of_schemas(argument=new))

    assert any(change.breaking for change in changes) == breaks


def test_names_and_values_of_a_stranger_cannot_act_on_a_terminal() -> None:
    name = "a\x1b[31m\n\u202eb"
    old = {"type": "object", "properties": {name: {"enum": [name, "c"]}}}
    new = {"type": "object", "properties": {name: {"enum": ["c"]}}}
    (change,) = compare(of_schemas(argument=old), of_schemas(argument=new))

    assert change.kind is Kind.VALUE
    assert change.path.isprintable()
    assert change.text.isprintable()
