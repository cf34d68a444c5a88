"""Histories of real runs: replayed as soon as they are made, and kept on request."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

import workflows
from workflows.worker import WORKFLOWS

HISTORIES = Path(workflows.__file__).parent / "histories"
OF_THIS_MACHINE = {"identity", "stackTrace"}

Keep = Callable[[WorkflowHandle[Any, Any], str], Awaitable[None]]
"""Replays the history of a run, and keeps it under this name where `--record-histories` is given."""


def keeper(*, record: bool) -> Keep:
    async def keep(handle: WorkflowHandle[Any, Any], name: str) -> None:
        history = await handle.fetch_history()
        await Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter).replay_workflow(history)
        if record:
            text = json.dumps(portable(json.loads(history.to_json())), indent=1)
            (HISTORIES / f"{name}.json").write_text(text + "\n")

    return keep


def portable(value: Any) -> Any:
    """The same JSON without what tells of the machine that recorded it; no replay reads that."""
    if isinstance(value, dict):
        return {key: portable(below) for key, below in value.items() if key not in OF_THIS_MACHINE}
    if isinstance(value, list):
        return [portable(below) for below in value]
    return value
