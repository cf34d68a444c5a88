"""Payloads that do not fit an activity: refused once and for all, not retried.

The SDK fails such a call in a way that the server retries for ever, though the same payload cannot fit the
same code at any attempt. `PayloadValidationError`, Temporal's own failure type for it, tells callers.
"""

import dataclasses
import functools
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from temporalio import activity
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    PayloadConverter,
    SerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from pipeline.worker.probe import WORKFLOW_ID

MAX_PROBLEMS = 5


@dataclass(frozen=True)
class HostDataConverter(DataConverter):
    """The pydantic data converter; its failures for payloads that fit no model are final and say where."""

    payload_converter_class: type[PayloadConverter] = PydanticPayloadConverter
    activity: str = ""
    """The activity that payloads are converted for."""

    def with_context(self, context: SerializationContext) -> "HostDataConverter":
        """Return the converter for the activity of `context`, or for the workflow that makes trials."""
        if isinstance(context, WorkflowSerializationContext) and context.workflow_id.startswith(WORKFLOW_ID):
            return HostDataConverter()
        if not isinstance(context, ActivitySerializationContext) or context.activity_type is None:
            return self
        if self.payload_codec is None:
            return _converter_for(context.activity_type)
        with_codec = super().with_context(context)
        return dataclasses.replace(with_codec, activity=context.activity_type)

    async def encode_failure(self, exception: BaseException, failure: Failure) -> None:
        """Encode a failure; one of decoding the activity's input becomes a final one."""
        if self.activity and (invalid := _invalid_input(exception)):
            exception = refusal(self.activity, problems(invalid))
        await super().encode_failure(exception, failure)


# Called for every task and heartbeat: a new converter each time would slow small activities by some percent.
@functools.lru_cache(maxsize=1000)
def _converter_for(activity: str) -> HostDataConverter:
    return HostDataConverter(activity=activity)


def _invalid_input(exception: BaseException) -> ValidationError | None:
    # The SDK wraps what decoding raised. An activity may wrap a ValidationError of its own just like that,
    # and is retried as it asks for; it is told apart by its context, which decoding precedes.
    if activity.in_activity() or not isinstance(exception, ApplicationError):
        return None
    return exception.__cause__ if isinstance(exception.__cause__, ValidationError) else None


class WithoutValues(logging.Filter):
    """Keeps out of the log the values of an input that does not fit, which the SDK would write there."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        raised = record.exc_info[1] if record.exc_info else None
        if raised and (invalid := _invalid_input(raised)):
            record.msg, record.args = "the input of a call does not fit: %s", (problems(invalid),)
            record.exc_info = None
        return True


def problems(invalid: ValidationError) -> str:
    """Where in the JSON and why, without the values, which may be anybody's data."""
    errors = invalid.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{json_path(error['loc'])}: {error['msg']}" for error in errors[:MAX_PROBLEMS]]
    more = len(errors) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def json_path(location: tuple[int | str, ...]) -> str:
    """`$.clip.samples[3]`."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def require_count(name: str, call: Callable[..., Any], arguments: list[Any]) -> None:
    """Refuse a call with more or fewer arguments than the activity takes; the SDK does not decode such ones.

    Raises:
        ApplicationError: final, of type PayloadValidationError.
    """
    try:
        _signature(call).bind(*arguments)
    except TypeError:
        takes = len(_signature(call).parameters)
        raise refusal(name, f"it takes {takes} and was called with {len(arguments)} arguments") from None


_signature = functools.lru_cache(maxsize=1000)(inspect.signature)


def refusal(name: str, why: str) -> ApplicationError:
    """The failure of a call that can never fit."""
    return ApplicationError(
        f"the input does not fit activity {name!r}: {why}", type="PayloadValidationError", non_retryable=True
    )
