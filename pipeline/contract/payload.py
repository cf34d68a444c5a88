"""Whether a recorded payload fits a contract."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import jsonschema_rs
from pydantic import BaseModel, ConfigDict, TypeAdapter

from pipeline.contract.findings import Side, child
from pipeline.worker.contract import Contract, Schema

UNUSABLE = (jsonschema_rs.ValidationError, ValueError)  # the latter where something is nested too deeply
# Workers parse with pydantic, which takes more than RFC 3339 does: a time without a zone, for one.
PARSED_FORMATS = {"date-time": datetime, "date": date, "time": time, "duration": timedelta, "uuid": UUID}


class Problem(BaseModel):
    """One place where a payload does not fit. It quotes the schema, and of the payload names of fields at most."""

    model_config = ConfigDict(frozen=True)

    path: str
    text: str


def check_payload(contract: Contract, activity: str, side: Side, payload: Any) -> tuple[Problem, ...]:
    """Return every place where `payload`, as parsed from JSON, does not fit the contract; empty if it fits.

    An activity that the contract lacks, and a payload where the contract has none, are problems too.
    """
    found = next((each for each in contract.activities if each.name == activity), None)
    if found is None:
        return (Problem(path="$", text="the contract has no such activity"),)
    schema = found.input if side == "input" else found.output
    if schema is None:
        nothing = "takes no argument" if side == "input" else "gives no result"
        return () if payload is None else (Problem(path="$", text=f"the activity {nothing}"),)
    try:
        errors = list(validator(schema).iter_errors(payload))
    except UNUSABLE as error:
        why = error.message if isinstance(error, jsonschema_rs.ValidationError) else str(error)
        return (Problem(path="$", text=f"the contract's schema cannot be used: {why}"),)
    return tuple(_problem(error) for error in errors)


def validator(schema: Schema) -> jsonschema_rs.Validator:
    """A validator that fetches nothing, bounds the work of a pattern, and quotes no value.

    Raises:
        jsonschema_rs.ValidationError: the schema is not JSON Schema, or refers to what it does not contain.
        ValueError: it is nested too deeply.
    """
    return jsonschema_rs.Draft202012Validator(
        schema, formats=_formats(), validate_formats=True, mask="the value", offline=True
    )


@cache
def _formats() -> dict[str, Callable[[str], bool]]:
    return {name: _parses(TypeAdapter[Any](kind)) for name, kind in PARSED_FORMATS.items()}


def _parses(adapter: TypeAdapter[Any]) -> Callable[[str], bool]:
    def parses(text: str) -> bool:
        try:
            adapter.validate_python(text)
        except ValueError:
            return False
        return True

    return parses


def _problem(error: jsonschema_rs.ValidationError) -> Problem:
    path = "$"
    for step in error.instance_path:
        path = f"{path}[{step}]" if isinstance(step, int) else child(path, step)
    return Problem(path=path, text=error.message)
