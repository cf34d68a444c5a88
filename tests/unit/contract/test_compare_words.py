"""The words for each way in which a contract changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model
from typing_extensions import TypedDict

from pipeline.contract import compare, render
from pipeline.worker.contract import Contract
from tests.unit.contract.contracts import contract_of, of_schemas

NEEDED = ...


def model(_name: str = "Clip", /, **fields: Any) -> type[BaseModel]:
    """A model with these fields: a type, or a type and its default."""
    its = {name: kind if isinstance(kind, tuple) else (kind, NEEDED) for name, kind in fields.items()}
    return create_model(_name, **its)  # type: ignore[call-overload, no-any-return]


def said(old: Contract, new: Contract) -> list[tuple[str, str]]:
    """`breaking $.path` or `compatible $.path`, with the words."""
    return [
        (f"{'breaking' if each.breaking else 'compatible'} {each.path}", each.text)
        for each in compare(old, new)
    ]


class Quiet(Enum):
    A = "a"
    B = "b"


class Loud(Enum):
    A = "a"
    C = "c"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class NeedyDog(BaseModel):
    kind: Literal["dog"]
    name: str
    walks: int


class Bird(BaseModel):
    kind: Literal["bird"]


Pets = Annotated[Cat | Dog, Field(discriminator="kind")]
NeedyPets = Annotated[Cat | NeedyDog, Field(discriminator="kind")]
MorePets = Annotated[Cat | Dog | Bird, Field(discriminator="kind")]
Words = Annotated[str, Field(pattern="^[a-z]+$")]
Numbers = Annotated[str, Field(pattern="^[0-9]+$")]


class Case(NamedTuple):
    what: str
    old: Any
    new: Any
    expected: list[tuple[str, str]]


INPUTS = [
    Case(
        "optional field added",
        model(a=int),
        model(a=int, b=(int, 1)),
        [("compatible $.b", "is new and optional")],
    ),
    Case(
        "required field added",
        model(a=int),
        model(a=int, b=list[int]),
        [("breaking $.b", "is required now: callers that leave it out fail")],
    ),
    Case(
        "field newly required",
        model(a=(int, 1)),
        model(a=int),
        [("breaking $.a", "is required now: callers that leave it out fail")],
    ),
    Case(
        "field gone",
        model(a=int, b=int),
        model(a=int),
        [("compatible $.b", "is gone: what callers send is ignored")],
    ),
    Case(
        "field renamed",
        model(rate=int, name=str),
        model(sample_rate=int, name=str),
        [
            (
                "breaking $.rate",
                'is gone and "sample_rate" of the same type is required now, probably renamed: '
                "callers that send the old name fail",
            )
        ],
    ),
    Case(
        "null refused",
        model(a=int | None),
        model(a=int),
        [("breaking $.a", "null is no longer accepted: callers that send it fail")],
    ),
    Case("null accepted", model(a=int), model(a=int | None), [("compatible $.a", "takes more than before")]),
    Case(
        "int widened to float", model(a=int), model(a=float), [("compatible $.a", "takes more than before")]
    ),
    Case(
        "float narrowed to int",
        model(a=float),
        model(a=int),
        [("breaking $.a", "number is no longer accepted, only integer: callers that send it fail")],
    ),
    Case(
        "type changed in a nested list",
        model(clips=list[model(rate=int)]),  # type: ignore[misc]
        model(clips=list[model(rate=str)]),  # type: ignore[misc]
        [
            (
                "breaking $.clips[*].rate",
                "integer is no longer accepted, only string: callers that send it fail",
            )
        ],
    ),
    Case(
        "values of a dict",
        dict[str, int | str],
        dict[str, int],
        [("breaking $.*", "string is no longer accepted, only integer: callers that send it fail")],
    ),
    Case(
        "keys of a dict",
        dict[Quiet, int],
        dict[Loud, int],
        [("breaking $.<name>", '"b" is no longer accepted, only "a" or "c": callers that send it fail')],
    ),
    Case(
        "an item of a tuple",
        tuple[int, str],
        tuple[int, int],
        [("breaking $[1]", "string is no longer accepted, only integer: callers that send it fail")],
    ),
    Case(
        "a longer tuple",
        tuple[int, int],
        tuple[int, int, int],
        [("breaking $", "`minItems` was 2 and is 3 now: callers that send values beyond it fail")],
    ),
    Case(
        "list to set",
        list[int],
        set[int],
        [
            (
                "breaking $",
                "`uniqueItems` was not set and is true now: callers that send values beyond it fail",
            )
        ],
    ),
    Case(
        "enum value gone",
        model(level=Quiet),
        model(level=Loud),
        [("breaking $.level", '"b" is no longer accepted, only "a" or "c": callers that send it fail')],
    ),
    Case(
        "enum value added",
        model(level=Quiet),
        model(level=Quiet | Loud),
        [("compatible $.level", "takes more than before")],
    ),
    Case(
        "text to enum",
        model(level=str),
        model(level=Quiet),
        [
            (
                "breaking $.level",
                'any string was accepted and only "a" or "b" is now: callers that send others fail',
            )
        ],
    ),
    Case(
        "a member of a union gone",
        model(pet=MorePets),
        model(pet=Pets),
        [
            (
                "breaking $.pet.kind",
                '"bird" is no longer accepted, only "cat" or "dog": callers that send it fail',
            )
        ],
    ),
    Case(
        "a member of a union changed",
        model(pet=Pets),
        model(pet=NeedyPets),
        [("breaking $.pet.walks", "is required now: callers that leave it out fail")],
    ),
    Case(
        "union of builtins narrowed",
        model(a=int | str | list[int]),
        model(a=int),
        [("breaking $.a", "string or array is no longer accepted, only integer: callers that send it fail")],
    ),
    Case(
        "anything narrowed",
        model(a=Any),
        model(a=str),
        [
            (
                "breaking $.a",
                "null is no longer accepted: callers that send it fail",
            ),
            (
                "breaking $.a",
                "boolean or number or array or object is no longer accepted, only string: "
                "callers that send it fail",
            ),
        ],
    ),
    Case(
        "minimum raised",
        model(a=Annotated[int, Field(ge=1)]),
        model(a=Annotated[int, Field(ge=2)]),
        [("breaking $.a", "`minimum` was 1 and is 2 now: callers that send values beyond it fail")],
    ),
    Case(
        "exclusive bound of integers that says the same",
        model(a=Annotated[int, Field(gt=0)]),
        model(a=Annotated[int, Field(ge=1)]),
        [],
    ),
    Case(
        "multiple of",
        model(a=Annotated[int, Field(multiple_of=4)]),
        model(a=Annotated[int, Field(multiple_of=3)]),
        [("breaking $.a", "`multipleOf` was 4 and is 3 now: callers that send values beyond it fail")],
    ),
    Case(
        "longest text shortened",
        model(a=str),
        model(a=Annotated[str, Field(max_length=5)]),
        [("breaking $.a", "`maxLength` was not set and is 5 now: callers that send values beyond it fail")],
    ),
    Case(
        "pattern changed",
        model(a=Words),
        model(a=Numbers),
        [
            (
                "breaking $.a",
                '`pattern` was "^[a-z]+$" and is "^[0-9]+$" now: whether all that callers send still fits '
                "cannot be decided, so it counts as breaking",
            )
        ],
    ),
    Case(
        "format changed",
        model(a=datetime),
        model(a=date),
        [
            (
                "breaking $.a",
                '`format` was "date-time" and is "date" now: callers that send values beyond it fail',
            )
        ],
    ),
    Case(
        "unknown fields refused",
        model(a=int),
        create_model("Clip", __config__=ConfigDict(extra="forbid"), a=(int, NEEDED)),
        [("breaking $", "unknown fields were ignored and no longer are: callers that send any may fail")],
    ),
    Case(
        "field gone from a model that refuses others",
        create_model("Clip", __config__=ConfigDict(extra="forbid"), a=(int, NEEDED), b=(int, 1)),
        create_model("Clip", __config__=ConfigDict(extra="forbid"), a=(int, NEEDED)),
        [("breaking $.b", "is refused now: callers that send it fail")],
    ),
    Case(
        "argument gone",
        model(a=int),
        None,
        [("breaking $", "the activity took one argument and takes none now: every caller fails")],
    ),
    Case(
        "argument added",
        None,
        model(a=int),
        [("breaking $", "the activity took no argument and takes one now: every caller fails")],
    ),
]

OUTPUTS = [
    Case("field added", model(a=int), model(a=int, b=int), [("compatible $.b", "is new")]),
    Case(
        "field gone",
        model(a=int, b=int),
        model(a=int),
        [("breaking $.b", "is gone: readers that use it fail")],
    ),
    Case(
        "field with a default gone",
        model(a=int, b=(int, 1)),
        model(a=int),
        [("breaking $.b", "is gone: readers that use it fail")],
    ),
    Case(
        "field renamed",
        model(rate=int, name=str),
        model(sample_rate=int, name=str),
        [
            (
                "breaking $.rate",
                'is gone and "sample_rate" of the same type is new, probably renamed: '
                "readers that use the old name fail",
            )
        ],
    ),
    Case(
        "null possible",
        model(a=int),
        model(a=int | None),
        [("breaking $.a", "may be null now: readers that expect a value fail")],
    ),
    Case(
        "null impossible", model(a=int | None), model(a=int), [("compatible $.a", "is narrower than before")]
    ),
    Case(
        "int widened to float",
        model(a=int),
        model(a=float),
        [("breaking $.a", "may be number now: readers that expect integer fail")],
    ),
    Case(
        "enum value added",
        Literal["a", "b"],
        Literal["a", "b", "c"],
        [("breaking $", 'may be "c" now: readers that know only "a" or "b" fail')],
    ),
    Case(
        "a member of a union added",
        model(pet=Pets),
        model(pet=MorePets),
        [("breaking $.pet.kind", 'may be "bird" now: readers that know only "cat" or "dog" fail')],
    ),
    Case("enum value gone", Literal["a", "b"], Literal["a"], [("compatible $", "is narrower than before")]),
    Case(
        "enum to text",
        Literal["a", "b"],
        str,
        [("breaking $", 'may be any string now: readers that know only "a" or "b" fail')],
    ),
    Case(
        "dict to model",
        dict[str, str],
        model(a=int),
        [("breaking $.a", "may be integer now: readers that expect string fail")],
    ),
    Case(
        "bound lifted",
        Annotated[float, Field(le=1)],
        float,
        [("breaking $", "`maximum` was 1 and is not set now: readers that rely on it fail")],
    ),
    Case("result gone", model(a=int), None, [("breaking $", "there is no result any more: readers fail")]),
    Case(
        "result added", None, model(a=int), [("compatible $", "there is a result now where there was none")]
    ),
    Case("a null result is none", type(None), None, []),
    Case(
        "field refused by readers",
        create_model("Clip", __config__=ConfigDict(extra="forbid"), a=(int, NEEDED)),
        create_model("Clip", __config__=ConfigDict(extra="forbid"), a=(int, NEEDED), b=(int, 1)),
        [("breaking $.b", "is new, and readers refuse fields that they do not know")],
    ),
]


@pytest.mark.parametrize("case", INPUTS, ids=lambda case: case.what)
def test_an_input_is_told_in_the_words_of_its_callers(case: Case) -> None:
    assert said(contract_of(argument=case.old), contract_of(argument=case.new)) == case.expected


@pytest.mark.parametrize("case", OUTPUTS, ids=lambda case: case.what)
def test_an_output_is_told_in_the_words_of_its_readers(case: Case) -> None:
    assert said(contract_of(result=case.old), contract_of(result=case.new)) == case.expected


def test_an_activity_that_is_gone_breaks_and_one_that_is_new_does_not() -> None:
    old, new = contract_of(argument=int, name="old"), contract_of(argument=int, name="new")

    assert render(compare(old, new)) == [
        "new",
        "  compatible  the activity is new",
        "old",
        "  breaking    the activity is gone: workflows that call it fail",
    ]


def test_an_activity_renders_its_breaking_changes_first() -> None:
    changes = compare(contract_of(argument=model(a=int)), contract_of(argument=model(b=(int, 1), a=str)))

    assert render(changes) == [
        "identify",
        "  breaking    input $.a: integer is no longer accepted, only string: callers that send it fail",
        "  compatible  input $.b: is new and optional",
    ]


@dataclass
class Segment:
    start: float
    end: float | None = None


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    items: list[T]


class Hints(TypedDict, total=False):
    language: str


class Tree(BaseModel):
    label: str
    children: list["Tree"] = []


class Deep(BaseModel):
    segment: Segment
    page: Page[Segment]
    level: Quiet
    pet: Pets
    hints: Hints
    tree: Tree
    values: Mapping[str, tuple[int, str]]
    when: datetime
    raw: bytes


def test_a_contract_of_every_kind_of_type_is_compatible_with_itself() -> None:
    deep = contract_of(argument=Deep, result=Deep)

    assert compare(deep, Contract.model_validate_json(deep.model_dump_json())) == ()


@dataclass
class Span(Segment):
    """The same fields under another name, with one that is needed."""

    speaker: str = Field()


def test_the_name_of_a_model_does_not_matter_but_its_fields_do() -> None:
    assert compare(contract_of(argument=Page[Segment]), contract_of(argument=Page[Segment])) == ()
    assert said(contract_of(result=Page[Span]), contract_of(result=Page[Segment])) == [
        ("breaking $.items[*].speaker", "is gone: readers that use it fail")
    ]


def tree(name: str, **fields: Any) -> dict[str, Any]:
    """A recursive schema with these fields, by hand so that `$defs` can be named."""
    children = {"type": "array", "items": {"$ref": f"#/$defs/{name}"}}
    node = {"type": "object", "properties": {"children": children, **fields}, "required": list(fields)}
    return {"$ref": f"#/$defs/{name}", "$defs": {name: node}}


def test_recursive_models_are_compared_to_an_end_and_told_once() -> None:
    integer, text = {"type": "integer"}, {"type": "string"}

    assert compare(of_schemas(argument=tree("A", n=integer)), of_schemas(argument=tree("B", n=integer))) == ()
    assert said(of_schemas(argument=tree("A", n=integer)), of_schemas(argument=tree("B", n=text))) == [
        ("breaking $.n", "integer is no longer accepted, only string: callers that send it fail")
    ]


def mutual(n: dict[str, Any], *, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two models that hold each other; `A` is known to differ only after what it holds has been looked at."""
    a, q = {"$ref": "#/$defs/A"}, {"$ref": "#/$defs/Q"}
    models = {
        "A": {"type": "object", "properties": {"again": a, "q": q, "n": n}},
        "Q": {"type": "object", "properties": {"p": a}, "required": ["p"]},
    }
    return {"type": "object", "properties": {"first": first, "second": second}, "$defs": models}


def test_a_model_that_seems_right_until_its_recursion_is_followed_is_told_everywhere() -> None:
    a, holder, null = {"$ref": "#/$defs/A"}, {"properties": {"q": {"$ref": "#/$defs/Q"}}}, {"type": "null"}
    old = mutual({"type": "integer"}, first=a, second={"type": "object", **holder})
    new = mutual({"type": "string"}, first={"anyOf": [a, null]}, second={"anyOf": [holder, null]})
    breaking = [
        each.path for each in compare(of_schemas(argument=old), of_schemas(argument=new)) if each.breaking
    ]

    assert "$.first.n" in breaking
    assert "$.second.q" in breaking


def test_a_model_that_is_used_twice_is_explained_once_and_pointed_at() -> None:
    old, new = model("Clip", rate=int), model("Clip", rate=str)

    assert said(contract_of(argument=model(a=old, b=old)), contract_of(argument=model(a=new, b=new))) == [
        ("breaking $.a.rate", "integer is no longer accepted, only string: callers that send it fail"),
        ("breaking $.b", "differs as $.a does: callers fail here too"),
    ]
