"""Reading the contract out of research modules, in a process of its own.

The answer goes to a file, since research modules may print.
"""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from pipeline.worker.contract import ActivityContract, Contract, Schema
from pipeline.worker.discovery import Activity, find_activities
from pipeline.worker.failures import FailureName, HostFailure
from pipeline.worker.hooks import find_codec, find_compare
from pipeline.worker.settings import HostSettings
from pipeline.worker.setup import find_setup

DECLARED = "declared_contract"
"""Attribute of a placeholder's activity: the contract that it was made from, in place of type hints."""


class Described(BaseModel):
    """The modules could be read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["contract"] = "contract"
    contract: Contract


class Undescribed(BaseModel):
    """The modules cannot be built into a worker; the fields are those of `HostFailure`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["failure"] = "failure"
    error: FailureName
    what: str
    why: str
    log: str


Description = Annotated[Described | Undescribed, Field(discriminator="kind")]
DESCRIPTION: TypeAdapter[Described | Undescribed] = TypeAdapter(Description)
"""Reads and writes the file."""


def read_description(path: Path) -> Described | Undescribed:
    """Read what `describe` wrote.

    Raises:
        OSError: it wrote nothing: the process died before, for example in a native module.
        ValueError: the file holds something else.
    """
    return DESCRIPTION.validate_json(path.read_bytes())


def write_description(settings: HostSettings, path: Path) -> Described | Undescribed:
    """Import the research modules and write their contract, or why there is none, to `path`."""
    description = describe(settings)
    path.write_bytes(DESCRIPTION.dump_json(description))
    return description


def describe(settings: HostSettings) -> Described | Undescribed:
    """Import the research modules and read their contract. Its hooks are looked up, not called."""
    try:
        contract = contract_of(find_activities(settings.activities))
        find_setup(settings.setup)
        find_codec(settings.codec)
        find_compare(settings.compare)
    except HostFailure as failure:
        return Undescribed(error=failure.error, what=failure.what, why=failure.why, log=failure.log)
    return Described(contract=contract)


def contract_of(activities: Iterable[Activity]) -> Contract:
    """The contract of activities.

    Raises:
        HostFailure: UntypedActivity.
    """
    return Contract(activities=tuple(_activity_contract(one) for one in activities))


def _activity_contract(one: Activity) -> ActivityContract:
    declared = getattr(one.call, DECLARED, None)
    if isinstance(declared, ActivityContract):
        return declared
    if len(one.parameters) > 1:
        raise _untyped(one, f"takes {len(one.parameters)} parameters", "put them into one model")
    return ActivityContract(
        name=one.name,
        doc=(inspect.getdoc(one.call) or "").partition("\n")[0],
        input=_schema(one, "input", one.parameters[0], "validation") if one.parameters else None,
        output=None if one.result is type(None) else _schema(one, "output", one.result, "serialization"),
    )


def _schema(one: Activity, side: str, hint: Any, mode: JsonSchemaMode) -> Schema:
    if hint is None or hint is Any:
        raise _untyped(one, f"has an {side} without a type", "annotate it, best with a pydantic model")
    try:
        return TypeAdapter(hint).json_schema(mode=mode)
    except Exception as error:  # a model may run code of its own here
        raise _untyped(
            one, f"has an {side} that no JSON Schema can be made of", f"{hint}: {str(error)[:1000]}"
        ) from error


def _untyped(one: Activity, what: str, why: str) -> HostFailure:
    return HostFailure("UntypedActivity", f"activity {one.name!r} ({one.place}) {what}", why=why)
