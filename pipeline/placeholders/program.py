"""The activities of a placeholder. They answer as `placeholder.json` beside this file says.

This file is copied into the placeholder's own repo, where it is its only code.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.exceptions import ApplicationError

from pipeline.worker.contract import ActivityContract
from pipeline.worker.payloads import refusal

FILE = "placeholder.json"
HELD_FOR = timedelta(seconds=5)
"""Between two attempts of a call that is held although the placeholder is Current."""


class Stand(BaseModel):
    """What stands in for one activity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract: ActivityContract
    answers: tuple[Any, ...] | None
    """One of them is given; null: the call is held."""


class Stands(BaseModel):
    """What `placeholder.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    activities: tuple[Stand, ...]


def chosen(answers: tuple[Any, ...], argument: Any) -> Any:
    """One of the answers; the same argument always gets the same one."""
    text = json.dumps(argument, sort_keys=True).encode()
    return answers[int.from_bytes(hashlib.sha256(text).digest()[:8]) % len(answers)]


def activity_for(stand: Stand) -> Callable[..., Any]:
    """The activity that stands in."""
    name, taken = stand.contract.name, stand.contract.input
    validator = (
        None if taken is None else jsonschema_rs.Draft202012Validator(taken, mask="the value", offline=True)
    )

    def answer(argument: Any) -> Any:
        errors = () if validator is None else tuple(validator.iter_errors(argument))
        if errors:
            place = "".join(f"[{step!r}]" for step in errors[0].instance_path)
            raise refusal(name, f"${place}: {errors[0].message}")
        if stand.answers is None:
            raise ApplicationError(
                f"{name} is held until the real algorithm is there",
                type="HeldByPlaceholder",
                next_retry_delay=HELD_FOR,
            )
        return chosen(stand.answers, argument)

    async def with_argument(argument: Any) -> Any:
        return answer(argument)

    async def without_argument() -> Any:
        return answer(None)

    call: Any = without_argument if taken is None else with_argument
    call.declared_contract = stand.contract
    defined: Callable[..., Any] = activity.defn(name=name)(call)
    return defined


def load(file: Path) -> dict[str, Callable[..., Any]]:
    """The activities that a file describes, by names under which the worker host finds them in this module."""
    stands = Stands.model_validate_json(file.read_bytes()).activities
    return {f"activity_{index}": activity_for(stand) for index, stand in enumerate(stands)}


if (_file := Path(__file__).with_name(FILE)).exists():
    globals().update(load(_file))
