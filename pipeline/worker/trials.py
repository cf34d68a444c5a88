"""Trials: calls of this build's activities with inputs that are examples, or that production once had.

Inputs and outputs stay in this process: what goes out is whether they agree, and where not. Values are told only
where that is asked for and payloads are not encoded.
"""

import asyncio
import functools
import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import ActivitySerializationContext, DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from pipeline.worker.differences import differences
from pipeline.worker.discovery import Activity
from pipeline.worker.failures import is_research
from pipeline.worker.payloads import problems, require_count
from pipeline.worker.probe import HEADER, Example, Reference, Trial, Tried
from pipeline.worker.recorded import Histories, Recorded

LONGEST = 300

Compare = Callable[[Any, Any], Any]
"""A researcher's own: the recorded output, the new one; gives whether they agree, or a text that says why not."""


def trial_of(headers: Mapping[str, Payload]) -> Trial | None:
    """The trial that a call is, if it is one."""
    payload = headers.get(HEADER)
    return None if payload is None else Trial.model_validate_json(payload.data)


@dataclass(frozen=True)
class _Case:
    """What a trial is made with."""

    converter: DataConverter
    input: Sequence[Payload]
    output: Sequence[Payload]
    recorded: Recorded | None


class Trials:
    """Makes trials of the activities of one build."""

    def __init__(
        self, client: Client, task_queue: str, activities: Sequence[Activity], compare: Compare | None
    ) -> None:
        self._client = client
        self._task_queue = task_queue
        self._histories = Histories(client, task_queue)
        self._activities = {one.name: one for one in activities}
        self._compare = compare

    async def make(
        self, trial: Trial, input: ExecuteActivityInput, next: ActivityInboundInterceptor
    ) -> Tried:
        """Make one, within the activity that it is a trial of."""
        tried = await self._make(trial, input, next)
        return tried.model_copy(update={"why": tried.why[:LONGEST]})

    async def _make(
        self, trial: Trial, input: ExecuteActivityInput, next: ActivityInboundInterceptor
    ) -> Tried:
        its = self._activities[trial.activity]
        is_secret = trial.example is None and self._client.data_converter.payload_codec is not None
        case = await self._case(trial)
        if isinstance(case, str):
            return Tried(number=trial.number, outcome="unread", why=case)
        told = functools.partial(
            Tried, number=trial.number, caller=case.recorded.caller if case.recorded else None
        )
        try:
            input.args = await case.converter.decode(case.input, list(its.parameters) or None)
            require_count(trial.activity, input.fn, list(input.args))
        except Exception as error:  # research models run code of their own here
            return told(outcome="refused", why=_refusal(error, is_secret=is_secret))
        if not trial.run:
            return told(outcome="same")
        show = trial.show and not is_secret
        begun = time.perf_counter()
        try:
            answer = await next.execute_activity(input)
        except Exception as error:
            why = _failure(error, show=show)
            return told(outcome="failed", why=why, seconds=time.perf_counter() - begun)
        seconds = time.perf_counter() - begun
        if not case.output:
            return told(outcome="same", seconds=seconds)
        found = await self._differences(trial, its, case, answer, show=show)
        outcome = "different" if found else "same"
        return told(outcome=outcome, seconds=seconds, compared=True, differences=tuple(found))

    async def _case(self, trial: Trial) -> _Case | str:
        """The payloads of a trial, or why they cannot be had."""
        if trial.reference is None:
            example = trial.example or Example(input=None)
            its = self._activities[trial.activity]
            return _Case(
                # Not encoded: it comes from the repo.
                DataConverter(payload_converter_class=self._client.data_converter.payload_converter_class),
                [_json(example.input)] if its.parameters else [],
                [] if example.output is None else [_json(example.output)],
                None,
            )
        try:
            recorded = await self._histories.find(trial.reference)
        except RPCError as error:
            return f"the caller's history cannot be read: {error.message}"
        if recorded is None:
            return "the caller's history does not have the call"
        converter = self._converter(trial.activity, trial.reference)
        return _Case(converter, recorded.input, recorded.output, recorded)

    def _converter(self, activity_type: str, reference: Reference) -> DataConverter:
        """As the call's own payloads were converted; a codec may make use of that."""
        return self._client.data_converter.with_context(
            ActivitySerializationContext(
                namespace=self._client.namespace,
                activity_id=reference.activity_id,
                activity_type=activity_type,
                activity_task_queue=self._task_queue,
                is_local=False,
                workflow_id=reference.workflow_id,
                workflow_type=reference.workflow_type,
            )
        )

    async def _differences(
        self, trial: Trial, its: Activity, case: _Case, answer: Any, *, show: bool
    ) -> Sequence[str]:
        if self._compare is not None and trial.reference is not None:
            [expected] = await case.converter.decode(case.output, [its.result])
            return await asyncio.to_thread(self._by_function, expected, answer, show)
        [expected] = await case.converter.decode(case.output)
        answered = _plain(case.converter.payload_converter.to_payload(answer))
        names = _names(its.result)
        return await asyncio.to_thread(
            differences, _jsonable(expected), answered, trial.tolerance, show=show, names=names
        )

    def _by_function(self, expected: Any, answer: Any, show: bool) -> Sequence[str]:
        assert self._compare is not None  # noqa: S101  # asked before
        try:
            same = self._compare(expected, answer)
        except Exception as error:
            return [f"the function that compares raised {_failure(error, show=show)}"]
        if isinstance(same, str):
            return [(same if show else "differs, says the function that compares")[:LONGEST]] if same else []
        return [] if same else ["differs, says the function that compares"]


def _json(value: JsonValue) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())


def _plain(payload: Payload) -> JsonValue:
    """What a payload says, in JSON; bytes as text that two equal ones share."""
    if payload.metadata.get("encoding") == b"json/plain":
        value: JsonValue = json.loads(payload.data)
        return value
    return _jsonable(payload.data) if payload.data else None


def _jsonable(value: Any) -> JsonValue:
    return value.hex() if isinstance(value, bytes) else value


def _names(hint: Any) -> frozenset[str]:
    """The names of all fields in an output's schema."""
    try:
        return frozenset(_properties(TypeAdapter(hint).json_schema(mode="serialization")))
    except Exception:  # a model may run code of its own here
        return frozenset()


def _properties(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for each in schema for name in _properties(each)]
    if not isinstance(schema, dict):
        return []
    fields = schema.get("properties", {})
    own = list(fields) if isinstance(fields, dict) else []
    return own + [name for each in schema.values() for name in _properties(each)]


def _refusal(error: Exception, *, is_secret: bool) -> str:
    if isinstance(error, ApplicationError):
        return error.message
    if isinstance(error, ValidationError):
        # A validator's own words, and the keys of a map, may be somebody's data.
        kinds = sorted({each["type"] for each in error.errors(include_input=False)})
        return ", ".join(kinds) if is_secret else problems(error)
    return _failure(error, show=False)


def _failure(error: Exception, *, show: bool) -> str:
    """The kind of an error and where it was raised; its text only where values may be told."""
    kind = error.type if isinstance(error, ApplicationError) and error.type else type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_research(frame)]
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    text = f": {error}" if show and str(error) else ""
    return f"{kind}{place}{text}"
