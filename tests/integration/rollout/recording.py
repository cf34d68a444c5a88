"""Histories of real releases: replayed as soon as they are made, and kept on request."""

import base64
import json
import re
import socket
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from pipeline.rollout.hold import Hold
from pipeline.rollout.roll_back import RollBack
from pipeline.rollout.serving import RUNNER
from pipeline.rollout.workflow import Rollout

HISTORIES = Path(__file__).parents[2] / "unit" / "rollout" / "histories"
OF_THIS_MACHINE = {"identity", "stackTrace"}
FOLDERS = re.compile(r'/[^"\s,:;\']*/pytest-of-[^/]+/pytest-\d+')


def replayer() -> Replayer:
    """As the worker of releases would go on with a run."""
    return Replayer(
        workflows=[Rollout, RollBack, Hold],
        data_converter=pydantic_data_converter,
        workflow_runner=RUNNER,
    )


async def keep(client: Client, workflow_id: str, run_id: str | None, name: str, *, record: bool) -> None:
    """Replay the history of a run, and write it down under this name if it is to be recorded."""
    history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    text = json.dumps(portable(json.loads(history.to_json())), indent=1) + "\n"
    await replayer().replay_workflow(WorkflowHistory.from_json(workflow_id, text))
    if record:
        HISTORIES.mkdir(exist_ok=True)
        (HISTORIES / f"{name}.json").write_text(text)


def portable(value: Any, key: str = "") -> Any:
    """The same JSON without what tells of the machine that recorded it; no replay reads that."""
    if isinstance(value, dict):
        return {name: portable(below, name) for name, below in value.items() if name not in OF_THIS_MACHINE}
    if isinstance(value, list):
        return [portable(below) for below in value]
    if isinstance(value, str) and key == "data":
        return base64.b64encode(_without_machine(base64.b64decode(value).decode()).encode()).decode()
    return _without_machine(value) if isinstance(value, str) else value


def _without_machine(text: str) -> str:
    return FOLDERS.sub("/home/conduit", text).replace(socket.gethostname(), "machine")
