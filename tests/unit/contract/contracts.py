"""Contracts made from types, as the worker host makes them."""

from typing import Any

from pydantic import TypeAdapter

from pipeline.worker.contract import ActivityContract, Contract, Schema


def takes(kind: Any) -> Schema:
    """The schema of an activity's argument."""
    return TypeAdapter(kind).json_schema(mode="validation")


def gives(kind: Any) -> Schema:
    """The schema of an activity's result."""
    return TypeAdapter(kind).json_schema(mode="serialization")


def contract_of(
    *, argument: Any = None, result: Any = None, name: str = "identify", doc: str = ""
) -> Contract:
    """A contract with one activity; None for no argument or no result."""
    return of_schemas(
        argument=None if argument is None else takes(argument),
        result=None if result is None else gives(result),
        name=name,
        doc=doc,
    )


def of_schemas(
    *, argument: Schema | None = None, result: Schema | None = None, name: str = "identify", doc: str = ""
) -> Contract:
    """A contract with one activity, from JSON Schemas."""
    return Contract(activities=(ActivityContract(name=name, doc=doc, input=argument, output=result),))
