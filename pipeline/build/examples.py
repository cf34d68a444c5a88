"""The examples that a repo keeps: JSON files of an input and, where it is known, an output.

    {"activity": "identify_speaker", "input": {...}, "output": {"speaker": "alice"}, "tolerance": 0.05}

They travel in the build record, since who releases a build has no research repo at hand.
"""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from pipeline.contract import check_payload
from pipeline.errors import InvalidExamples
from pipeline.models import SmokeExample
from pipeline.worker.contract import Contract

LARGEST = 256 * 1024
"""Bytes of all examples together, as JSON without white space."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    activity: str | None = None
    input: JsonValue = None
    output: JsonValue = None
    tolerance: float = Field(default=0.0, ge=0)


def read_examples(project: Path, folder: str, contract: Contract) -> tuple[SmokeExample, ...]:
    """Read the examples of a laid-out commit, and hold their inputs to its contract.

    Raises:
        InvalidExamples: one is not JSON of that form or does not fit its activity, or they are too large.
    """
    files = sorted(file for file in (project / folder).glob("*.json") if file.is_file())
    examples = tuple(_example(file, f"{folder}/{file.name}", contract) for file in files)
    size = sum(len(json.dumps([each.input, each.output], separators=(",", ":"))) for each in examples)
    if size > LARGEST:
        raise InvalidExamples(
            f"The examples in {folder}/ are too large: {size // 1024} kB of JSON.",
            why=f"They travel in the build record, which takes {LARGEST // 1024} kB of them.",
            now="Keep fewer or smaller ones; the repo's own tests may use files of any size.",
        )
    return examples


def _example(file: Path, name: str, contract: Contract) -> SmokeExample:
    try:
        read = _File.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise _invalid(name, f"{place}: {first['msg']}." if place else f"{first['msg']}.") from None
    activity = read.activity or _only(contract, name)
    problems = check_payload(contract, activity, "input", read.input)
    if problems:
        raise _invalid(name, "; ".join(f"{each.path}: {each.text}" for each in problems[:3]))
    return SmokeExample(
        file=name[:200], activity=activity, input=read.input, output=read.output, tolerance=read.tolerance
    )


def _only(contract: Contract, name: str) -> str:
    names = [activity.name for activity in contract.activities]
    if len(names) != 1:
        raise _invalid(name, f"It does not say which `activity` it is for: {', '.join(names)[:300]}.")
    return names[0]


def _invalid(name: str, why: str) -> InvalidExamples:
    return InvalidExamples(
        f"{name} is not an example that an activity can be called with.",
        why=why,
        now='Correct it, or name another folder: `examples = "…"` in [tool.conduit.gates].',
    )
