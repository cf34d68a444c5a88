"""Releases still do what recorded ones did.

A release of another version of the toolkit is begun anew and not replayed; one whose command or controller was
killed goes on with the code that finds it. Where a replay fails here, give the toolkit a new version, or put the
change behind `workflow.patched`. To record anew, with a server and some minutes:

    python -m pytest tests/integration/rollout --record-releases
"""

import base64
import gc
import re
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory

from pipeline.rollout import workflow as rollout
from pipeline.rollout.plan import Action
from tests.integration.rollout.recording import HISTORIES, replayer

RECORDED = {
    "held-and-aborted",
    "paused-resumed-promoted",
    "superseded-in-its-ramp",
    "taken-back-from-its-ramp",
    "taken-back-from-its-watch",
    "went-live-over-a-killed-controller",
}
MAX_BYTES = 250_000


def text(name: str) -> str:
    return (HISTORIES / f"{name}.json").read_text()


def history(name: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(name, text(name))


def payloads(name: str) -> str:
    found = re.findall(r'"data": "([^"]*)"', text(name))
    return "\n".join(base64.b64decode(data).decode() for data in found)


def test_every_way_that_a_release_can_take_is_recorded() -> None:
    assert {path.stem for path in Path(HISTORIES).glob("*.json")} == RECORDED


@pytest.mark.parametrize("name", sorted(RECORDED))
async def test_a_recorded_release_is_replayed(name: str) -> None:
    await replayer().replay_workflow(history(name))


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_recorded_release_is_small_and_tells_nothing_of_the_machine(name: str) -> None:
    assert len(text(name)) < MAX_BYTES
    assert not re.search(r'"identity"|"stackTrace"|pytest-of|/tmp/', text(name) + payloads(name))


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("went-live-over-a-killed-controller", ["promote", "watch", "retire"]),
        ("taken-back-from-its-ramp", ["judge 50 %", "undo", "quarantine", "heal"]),
        ("taken-back-from-its-watch", ["promote", "watch", "undo", "quarantine", "heal"]),
        ("paused-resumed-promoted", ["judge 50 %", "wait for a person", "promote"]),
        ("held-and-aborted", ["judge 50 %", "wait for a person", "undo"]),
    ],
)
def test_a_recorded_release_took_the_way_that_it_is_named_after(name: str, steps: list[str]) -> None:
    done = iter(
        event.user_metadata.summary.data.decode().strip('"')
        for event in history(name).events
        if event.HasField("activity_task_scheduled_event_attributes")
    )
    assert all(step in done for step in steps), "some step is missing, or comes before its turn"


def test_the_superseded_release_was_ended_from_outside() -> None:
    last = history("superseded-in-its-ramp").events[-1]
    assert last.HasField("workflow_execution_terminated_event_attributes")


@pytest.mark.parametrize("name", ["went-live-over-a-killed-controller", "superseded-in-its-ramp"])
async def test_a_change_that_would_break_a_running_release_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    do = rollout.Rollout._do

    async def later(self: rollout.Rollout, action: Action) -> None:
        await workflow.sleep(timedelta(seconds=1))
        await do(self, action)

    monkeypatch.setattr(rollout.Rollout, "_do", later)
    with pytest.raises(workflow.NondeterminismError):
        await replayer().replay_workflow(history(name))


@pytest.mark.parametrize("name", sorted(RECORDED))
async def test_no_step_that_was_broken_off_fails_unheard(
    name: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio prints such a failure with its traceback, into the terminal of whoever follows the release."""
    await replayer().replay_workflow(history(name))
    gc.collect()
    assert "never retrieved" not in capfd.readouterr().err + caplog.text
