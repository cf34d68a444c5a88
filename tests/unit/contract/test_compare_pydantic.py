"""The same promise for models: what a caller of the old model sends, the new model reads."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Json,
    SecretStr,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import to_json

from pipeline.contract import compare
from tests.unit.contract.contracts import contract_of, takes
from tests.unit.contract.schemas import values


class Few(Enum):
    A = "a"


class Many(Enum):
    A = "a"
    B = "b"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]


class Red(BaseModel):
    colour: Literal["red"] = "red"


class Blue(BaseModel):
    colour: Literal["blue"] = "blue"


class Tree(BaseModel):
    children: list["Tree"] = []


KINDS: list[Any] = [
    *(int, float, str, bool, Any, datetime, date, UUID, Few, Many, Tree, None),
    *(int | None, int | str, float | None, str | None, list[int], list[float], set[int], dict[str, int]),
    *(tuple[int, str], tuple[int, ...], Literal["a"], Literal["a", 1], Mapping[Few, int], dict[Many, float]),
    *(Annotated[int, Field(ge=0)], Annotated[int, Field(gt=0)], Annotated[str, Field(max_length=2)]),
    *(Red, Red | Blue, Annotated[Red | Blue, Field(discriminator="colour")], SecretStr, Path, Json[Cat]),
    *(Cat, Cat | Dog, Annotated[Cat | Dog, Field(discriminator="kind")], list[Cat | None]),
]
CONFIGS = st.sampled_from([ConfigDict(), ConfigDict(), ConfigDict(extra="forbid"), ConfigDict(extra="allow")])
NAMES = ("a", "b", "c")


@st.composite
def models(draw: st.DrawFn, base: type[BaseModel] | None = None) -> type[BaseModel]:
    """A model; with a base, one that mostly has the base's fields."""
    fields: dict[str, Any] = {}
    for name in NAMES:
        kept = base.model_fields.get(name) if base else None
        if kept is not None and draw(st.integers(0, 3)):
            fields[name] = (kept.annotation, kept)
        elif draw(st.booleans()):
            kind = draw(st.sampled_from(KINDS))
            fields[name] = (kind, ...) if draw(st.booleans()) else (kind | None if kind else kind, None)
    made: type[BaseModel] = create_model("Model", __config__=draw(CONFIGS), **fields)
    return made


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        (str, Json[list[int]], True),
        (Json[list[str]], Json[list[int]], True),
        (Json[list[int]], Json[list[float]], False),
        (str, SecretStr, False),
        (str, Path, False),
        (str, UUID, True),
        (Red, Annotated[Red | Blue, Field(discriminator="colour")], True),
        (Cat, Annotated[Cat | Dog, Field(discriminator="kind")], False),
    ],
    ids=str,
)
def test_a_type_is_judged_as_pydantic_reads_it(old: Any, new: Any, breaks: bool) -> None:
    changes = compare(contract_of(argument=old), contract_of(argument=new))

    assert any(change.breaking for change in changes) == breaks


class Scored(BaseModel):
    score: float


class ScoredByDefault(BaseModel):
    score: float = 0.0


class MaybeScored(BaseModel):
    score: float | None = None


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        (Annotated[Red | Blue, Field(discriminator="colour")], Red, False),
        (Scored, ScoredByDefault, False),
        (Scored, MaybeScored, True),
    ],
    ids=str,
)
def test_a_build_writes_the_defaults_of_its_results(old: Any, new: Any, breaks: bool) -> None:
    changes = compare(contract_of(result=old), contract_of(result=new))

    assert any(change.breaking for change in changes) == breaks


def reads(model: type[BaseModel], text: bytes) -> bool:
    try:
        TypeAdapter(model).validate_json(text)
    except ValidationError:
        return False
    return True


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_a_model_that_is_called_compatible_reads_what_the_old_one_read(data: st.DataObject) -> None:
    old = data.draw(models())
    new = data.draw(models(old))
    schema = takes(old)
    if "$ref" in schema:
        schema = {**schema["$defs"]["Model"], "$defs": schema["$defs"]}
    sent = to_json(data.draw(values(schema, schema)))
    assume(reads(old, sent))
    changes = compare(contract_of(argument=old), contract_of(argument=new))

    assert reads(new, sent) or any(change.breaking for change in changes)
