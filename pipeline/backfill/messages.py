"""What goes into and comes out of a backfill; durations in seconds."""

import base64
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue, PlainSerializer
from temporalio.api.common.v1 import Payload

from pipeline.models import AlgorithmName, BuildId, Value


def workflow_id(algorithm: str) -> str:
    """The ID of an algorithm's backfill; there is one at a time."""
    return f"conduit/backfill/{algorithm}"


class Answered(Value):
    """A call that a build answered, by where it stands in its caller's history: a line of the plan."""

    workflow_id: str
    run_id: str
    workflow_type: str
    activity_id: str
    activity: str


class Header(Value):
    """The first line of a plan: whose calls these are."""

    algorithm: AlgorithmName
    build_id: BuildId


Raw = Annotated[
    bytes,
    BeforeValidator(lambda given: base64.b64decode(given) if isinstance(given, str) else given),
    PlainSerializer(lambda raw: base64.b64encode(raw).decode(), return_type=str, when_used="json"),
]
"""A payload as it stands in a history. It is not decoded on its way: a codec's keys are the workers' alone."""


class Recalled(Value):
    """A call as it was made and answered."""

    call: Answered
    input: Raw | None
    output: Raw | None
    fairness_key: str
    start_to_close: float | None
    heartbeat: float | None


class Recomputed(Value):
    """What the live build says of a call; a line of the output."""

    call: Answered
    outcome: Literal["same", "different", "failed", "gone"] = Field(
        description="`gone`: the history was deleted since the plan was made"
    )
    before: JsonValue = None
    after: JsonValue = None
    why: str = ""


class Backfill(Value):
    """Where a backfill is: the input of one run of its workflow, and its whole state."""

    header: Header
    task_queue: str = Field(default="", description="that the calls are made on; empty: the algorithm's own")
    plan: Path
    output: Path
    batch: int = Field(ge=1, le=500)
    priority: int = Field(ge=1, le=5)
    done: int = Field(default=0, description="lines of the plan that have their line in the output")


class Progress(Value):
    """How far a backfill is."""

    calls: int
    done: int


def json_of(raw: bytes | None) -> JsonValue:
    """A payload for people: its JSON, or what is known of one that is encoded."""
    if raw is None:
        return None
    payload = Payload.FromString(raw)
    encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
    try:
        if encoding.startswith("json/"):
            value: JsonValue = json.loads(payload.data)
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair cannot be written
            return value
    except (ValueError, RecursionError):  # a codec of somebody's own kept the name
        pass
    return {"encoding": encoding, "data": base64.b64encode(payload.data).decode()}


def equal(before: JsonValue, after: JsonValue) -> bool:
    """Whether two answers are the same; two that are not a number are, though Python says otherwise."""
    return before == after or json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
