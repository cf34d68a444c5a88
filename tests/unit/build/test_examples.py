"""The examples that a repo keeps, read when it is built."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipeline.build.examples import LARGEST, read_examples
from pipeline.errors import InvalidExamples
from pipeline.worker.contract import Contract
from tests.unit.contract.contracts import contract_of


class Clip(BaseModel):
    text: str


ONE = contract_of(argument=Clip, result=int)
TWO = Contract(activities=(*ONE.activities, *contract_of(argument=int, name="other").activities))


def write(folder: Path, **files: Any) -> Path:
    (folder / "examples").mkdir(exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / "examples" / f"{name}.json").write_text(text)
    return folder


def test_examples_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, b={"input": {"text": "b"}, "output": 3, "tolerance": 0.5}, a={"input": {"text": "a"}})
    (tmp_path / "examples" / "README.md").write_text("no example")
    first, second = read_examples(tmp_path, "examples", ONE)
    assert (first.file, first.activity, first.input, first.output) == (
        "examples/a.json",
        "identify",
        {"text": "a"},
        None,
    )
    assert (second.output, second.tolerance) == (3, 0.5)


def test_a_repo_without_examples_has_none(tmp_path: Path) -> None:
    assert read_examples(tmp_path, "examples", ONE) == ()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Invalid JSON"),
        ({"input": {"text": "a"}, "outptu": 1}, "outptu: Extra inputs are not permitted"),
        ({"input": {"text": 1}}, "$.text: "),
        ({"input": {}}, '"text" is a required property'),
        ({"activity": "gone", "input": 1}, "the contract has no such activity"),
        ({"input": {"text": "a"}, "tolerance": -1}, "tolerance: "),
        ([1], "Input should be an object"),
    ],
)
def test_what_is_no_example_is_told_with_its_file(tmp_path: Path, content: Any, why: str) -> None:
    write(tmp_path, one=content)
    with pytest.raises(InvalidExamples) as raised:
        read_examples(tmp_path, "examples", ONE)
    assert "examples/one.json" in raised.value.what
    assert why in raised.value.why


def test_an_example_says_which_of_several_activities_it_is_for(tmp_path: Path) -> None:
    write(tmp_path, one={"input": {"text": "a"}})
    with pytest.raises(InvalidExamples) as raised:
        read_examples(tmp_path, "examples", TWO)
    assert "identify, other" in raised.value.why
    write(tmp_path, one={"activity": "other", "input": 1})
    assert read_examples(tmp_path, "examples", TWO)[0].activity == "other"


def test_examples_have_a_limit_together(tmp_path: Path) -> None:
    half = {"input": {"text": "x" * (LARGEST // 2)}}
    write(tmp_path, one=half)
    assert len(read_examples(tmp_path, "examples", ONE)) == 1
    write(tmp_path, two=half)
    with pytest.raises(InvalidExamples) as raised:
        read_examples(tmp_path, "examples", ONE)
    assert "256 kB" in raised.value.why
