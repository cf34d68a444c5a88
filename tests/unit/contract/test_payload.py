"""Payloads that callers really sent, against a contract."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from pipeline.contract import Problem, check_payload
from tests.unit.contract.contracts import contract_of, of_schemas


@dataclass
class Segment:
    start: float
    end: float | None = None


class Clip(BaseModel):
    name: Annotated[str, Field(max_length=5)]
    segments: list[Segment]
    when: datetime
    long: timedelta
    id: UUID
    raw: bytes = b""


GOOD = Clip(
    name="n",
    segments=[Segment(1, None)],
    when=datetime(2026, 1, 1),  # no zone, which RFC 3339 would not have
    long=timedelta(days=1, seconds=1),
    id=UUID(int=1),
)


def sent(**changes: Any) -> Any:
    return {**json.loads(TypeAdapter(Clip).dump_json(GOOD)), **changes}


def test_what_pydantic_writes_fits() -> None:
    assert check_payload(contract_of(argument=Clip, result=Clip), "identify", "input", sent()) == ()
    assert check_payload(contract_of(argument=Clip, result=Clip), "identify", "output", sent()) == ()


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (sent(name="secret"), "$.name"),
        (sent(segments=[{"start": 1}, {"start": "x"}]), "$.segments[1].start"),
        (sent(segments=[{}]), "$.segments[0]"),
        (sent(when="yesterday"), "$.when"),
        (sent(id="x"), "$.id"),
        ([], "$"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_payload_that_does_not_fit_is_named_by_its_path_and_never_quoted(payload: Any, path: str) -> None:
    (problem,) = check_payload(contract_of(argument=Clip), "identify", "input", payload)

    assert problem.path == path
    assert "secret" not in problem.text
    assert "yesterday" not in problem.text


def test_an_activity_without_an_argument_takes_none() -> None:
    contract = contract_of(argument=None)

    assert check_payload(contract, "identify", "input", None) == ()
    assert check_payload(contract, "identify", "input", 1) == (
        Problem(path="$", text="the activity takes no argument"),
    )
    assert check_payload(contract, "other", "input", 1) == (
        Problem(path="$", text="the contract has no such activity"),
    )


def test_a_schema_that_refers_elsewhere_is_a_problem_and_is_not_fetched() -> None:
    (problem,) = check_payload(of_schemas(argument={"$ref": "http://127.0.0.1:9/x"}), "identify", "input", 1)

    assert problem.text.startswith("the contract's schema cannot be used: ")
