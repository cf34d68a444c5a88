"""The workflows still do what recorded runs of them did. `workflows/README.md` says how runs are recorded."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

import workflows
from workflows.identification import identify
from workflows.models import IdentificationRequest, SpeakerID
from workflows.worker import WORKFLOWS

HISTORIES = sorted((Path(workflows.__file__).parent / "histories").glob("*.json"))
MAX_BYTES = 100_000
RECORDED = {
    "backfill-cancelled",
    "backfill-continued-first-run",
    "backfill-continued-last-run",
    "backfill-finished",
    "identification-completed",
    "identification-refused",
    "identification-retried",
    "identification-waited-for-a-build",
    "stream-cancelled",
    "stream-continued-first-run",
    "stream-continued-second-run",
    "stream-continued-last-run",
    "stream-finished",
    "stream-repeated",
}


def history(name: str) -> WorkflowHistory:
    path = next(path for path in HISTORIES if path.stem == name)
    return WorkflowHistory.from_json(name, path.read_text())


def test_every_way_that_a_run_can_take_is_recorded() -> None:
    assert {path.stem for path in HISTORIES} == RECORDED


@pytest.mark.parametrize("name", sorted(RECORDED))
async def test_a_recorded_run_is_replayed(name: str) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)

    await replayer.replay_workflow(history(name))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_recorded_run_is_small_and_tells_nothing_of_the_machine(path: Path) -> None:
    text = path.read_text()

    assert len(text) < MAX_BYTES
    assert not re.search(r'"identity"|"stackTrace"|@', text)


def test_the_retried_run_did_fail_first() -> None:
    started = [
        event.activity_task_started_event_attributes
        for event in history("identification-retried").events
        if event.HasField("activity_task_started_event_attributes")
    ]

    assert [(attempt.attempt, attempt.last_failure.message) for attempt in started] == [
        (2, "this build is bad")
    ]


def test_the_continued_run_did_continue_as_new() -> None:
    assert_continued("stream-continued-first-run")
    assert_continued("backfill-continued-first-run")


def assert_continued(name: str) -> None:
    last = history(name).events[-1]
    assert last.HasField("workflow_execution_continued_as_new_event_attributes")


@workflow.defn(name="SpeakerIdentificationWorkflow")
class WaitsFirst:
    @workflow.run
    async def run(self, request: IdentificationRequest) -> SpeakerID:
        await workflow.sleep(timedelta(seconds=1))
        return await identify(request.clip, request.task_queue)


async def test_a_change_that_would_break_running_workflows_is_found() -> None:
    replayer = Replayer(workflows=[WaitsFirst], data_converter=pydantic_data_converter)

    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(history("identification-completed"))
