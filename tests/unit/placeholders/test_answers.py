"""What a placeholder answers: the examples given, else values that fit; and what does not fit is refused."""

import json
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from pipeline.contract import check_payload
from pipeline.errors import UnfitAnswers
from pipeline.placeholders.answers import plan, read_examples
from pipeline.worker.contract import Contract
from tests.parts import research
from tests.unit.contract.contracts import contract_of, of_schemas


class Mood(StrEnum):
    GLAD = "glad"


class Speaker(BaseModel):
    name: Annotated[str, Field(pattern=r"^[a-z]{3,8}$")]
    confidence: Annotated[float, Field(ge=0, le=1)]
    mood: Mood
    at: datetime
    price: Decimal
    voice: bytes
    kind: Literal["person"]
    aliases: Annotated[list[str], Field(min_length=2)]
    better: "Speaker | None"


class Exemplary(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "alice"}]})

    name: str


class Nested(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "alice", "within": None}]})

    name: str
    within: "Nested | None"


def answers(contract: Contract, **examples: list[Any]) -> dict[str, tuple[Any, ...] | None]:
    stands = plan("speaker-id", contract, examples, hold=False).stands.activities
    return {stand.contract.name: stand.answers for stand in stands}


@pytest.mark.parametrize(
    "contract",
    [
        research.contract(),
        contract_of(argument=str, result=Speaker),
        contract_of(argument=str, result=list[Speaker] | None),
        contract_of(argument=str, result=dict[str, int]),
        contract_of(argument=str, result=bool),
        contract_of(argument=str),
    ],
    ids=["research", "limits", "a list or null", "a mapping", "bool", "no result"],
)
def test_generated_answers_fit_the_contract_and_are_the_same_each_time(contract: Contract) -> None:
    found = answers(contract)
    for name, given in found.items():
        assert given
        assert [check_payload(contract, name, "output", answer) for answer in given] == [()] * len(given)
    assert answers(contract) == found


def test_examples_are_given_as_they_are() -> None:
    contract = contract_of(result=Exemplary)
    assert answers(contract, identify=[{"name": "bruno"}]) == {"identify": ({"name": "bruno"},)}


def test_examples_of_the_schema_count_where_no_others_are_given() -> None:
    contract = contract_of(result=Exemplary)
    assert answers(contract) == {"identify": ({"name": "alice"},)}
    assert answers(contract_of(result=Nested)) == {"identify": ({"name": "alice", "within": None},)}
    assert plan("speaker-id", contract, {}, hold=False).how == {"identify": "examples"}


def test_a_call_that_is_held_has_no_answer() -> None:
    planned = plan("speaker-id", contract_of(result=Speaker), {}, hold=True)
    assert planned.how == {"identify": "held"}
    assert [stand.answers for stand in planned.stands.activities] == [None]


def test_an_example_of_an_activity_that_the_contract_lacks_is_refused() -> None:
    with pytest.raises(UnfitAnswers, match="no activity 'recognise'") as refused:
        answers(contract_of(result=str), recognise=["a"])
    assert "identify" in refused.value.why


def test_an_example_that_does_not_fit_is_refused_with_the_place() -> None:
    with pytest.raises(UnfitAnswers, match="Example 2 of identify") as refused:
        answers(contract_of(result=Exemplary), identify=[{"name": "alice"}, {"name": 3}])
    assert refused.value.why.startswith("$.name: ")


def test_a_schema_that_no_generated_value_fits_is_refused() -> None:
    impossible = of_schemas(result={"type": "string", "minLength": 3, "not": {"type": "string"}})
    with pytest.raises(UnfitAnswers, match="No answer of identify"):
        answers(impossible)


@pytest.mark.parametrize("text", ["", "[]", '{"identify": 3}', "{'identify': []}"])
def test_what_is_no_file_of_examples_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "examples.json"
    file.write_text(text)
    with pytest.raises(UnfitAnswers, match="no file of examples"):
        read_examples(file)
    with pytest.raises(UnfitAnswers, match="cannot be read"):
        read_examples(tmp_path / "nowhere.json")


def test_examples_are_read_by_activity(tmp_path: Path) -> None:
    file = tmp_path / "examples.json"
    file.write_text(json.dumps({"identify": [{"name": "alice"}]}))
    assert read_examples(file) == {"identify": [{"name": "alice"}]}
