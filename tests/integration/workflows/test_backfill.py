"""An archive goes through the algorithm in batches, behind the interactive calls."""

import asyncio
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError

from tests.integration.workflows.algorithm import (
    ANNA,
    BEN,
    NOBODY,
    SPEAKERS,
    ReceivedClip,
    Verdict,
    knowing,
    live,
    unused_queue,
)
from tests.integration.workflows.recording import Keep
from tests.parts.waiting import eventually
from workflows.backfill import ArchiveBackfillWorkflow
from workflows.identification import SpeakerIdentificationWorkflow
from workflows.models import MAX_WAV_BYTES, ArchivedAnswer, Backfill, BackfillProgress, IdentificationRequest

Handle = WorkflowHandle[ArchiveBackfillWorkflow, BackfillProgress]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Five clips of two customers, and two that no call can carry."""
    clips = {
        "acme/a.wav": ANNA.wav,
        "acme/b.wav": BEN.wav,
        "acme/empty.wav": b"",
        "acme/huge.wav": bytes(MAX_WAV_BYTES + 1),
        "acme/noise.wav": NOBODY.wav,
        "zoo/a.wav": ANNA.wav,
        "zoo/b.wav": BEN.wav,
    }
    for name, wav in clips.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(wav)
    return tmp_path


async def start(client: Client, engineers: str, backfill: Backfill) -> Handle:
    return await client.start_workflow(
        ArchiveBackfillWorkflow.run, backfill, id=f"backfill-{uuid4()}", task_queue=engineers
    )


def answers(archive: Path) -> dict[str, str | None]:
    """The speaker that is kept beside each clip."""
    kept = [ArchivedAnswer.model_validate_json(file.read_text()) for file in archive.glob("*/*.speaker.json")]
    return {one.name: one.answer.speaker if one.answer else None for one in kept}


RIGHT = {
    "acme/a.wav": "anna",
    "acme/b.wav": "ben",
    "acme/noise.wav": None,
    "zoo/a.wav": "anna",
    "zoo/b.wav": "ben",
}


async def test_every_clip_of_the_archive_gets_its_answer(
    temporal_client: Client, engineers: str, archive: Path, keep: Keep
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        backfill = await start(temporal_client, engineers, Backfill(batch=4, task_queue=algorithm))
        done = await backfill.result()
        assert await backfill.query(ArchiveBackfillWorkflow.progress) == done

    assert done == BackfillProgress(clips=7, identified=4, refused=1, unusable=2)
    assert answers(archive) == RIGHT
    await keep(backfill, "backfill-finished")


async def test_a_backfill_goes_on_in_its_next_run(
    temporal_client: Client, engineers: str, archive: Path, keep: Keep
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        given = Backfill(batch=2, batches_per_run=2, task_queue=algorithm)
        backfill = await start(temporal_client, engineers, given)
        done = await backfill.result()

    assert done == BackfillProgress(clips=7, identified=4, refused=1, unusable=2)
    assert answers(archive) == RIGHT
    first = temporal_client.get_workflow_handle_for(
        ArchiveBackfillWorkflow.run, backfill.id, run_id=backfill.first_execution_run_id
    )
    await keep(first, "backfill-continued-first-run")
    last = temporal_client.get_workflow_handle_for(ArchiveBackfillWorkflow.run, backfill.id)
    await keep(last, "backfill-continued-last-run")


async def test_calls_are_made_behind_the_interactive_ones_and_in_the_customers_name(
    temporal_client: Client, engineers: str, archive: Path
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        backfill = await start(temporal_client, engineers, Backfill(task_queue=algorithm))
        await backfill.result()

    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in (await backfill.fetch_history()).events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]
    calls = [one.priority for one in scheduled if one.activity_type.name == "identify_speaker"]
    assert [call.priority_key for call in calls] == [5] * 5
    assert sorted(call.fairness_key for call in calls) == ["acme", "acme", "acme", "zoo", "zoo"]


async def test_a_customer_may_have_a_long_name_of_any_script(
    temporal_client: Client, engineers: str, tmp_path: Path
) -> None:
    name = "Ж" * 63
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.wav").write_bytes(ANNA.wav)
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        backfill = await start(temporal_client, engineers, Backfill(task_queue=algorithm))
        done = await asyncio.wait_for(backfill.result(), 30)
    assert done.identified == 1


async def test_a_clip_whose_name_no_payload_can_carry_ends_the_backfill_with_the_reason(
    temporal_client: Client, engineers: str, archive: Path
) -> None:
    (archive / "acme" / os.fsdecode(b"caf\xe9.wav")).write_bytes(ANNA.wav)
    backfill = await start(temporal_client, engineers, Backfill())
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(backfill.result(), 30)
    assert isinstance(failed.value.cause, ActivityError)
    assert "'acme/caf\\udce9.wav' is not UTF-8" in str(failed.value.cause.cause)


async def test_an_interactive_call_goes_before_the_batch_that_waits(
    temporal_client: Client, engineers: str, archive: Path
) -> None:
    order: list[bytes] = []
    may_go_on = asyncio.Event()

    @activity.defn(name="identify_speaker")
    async def one_after_the_other(clip: ReceivedClip) -> Verdict:
        order.append(clip.wav)
        await may_go_on.wait()
        return Verdict(speaker="anyone", confidence=1)

    algorithm = unused_queue()
    (archive / "acme/noise.wav").unlink()
    for number in range(100):
        (archive / "zoo" / f"more-{number:03}.wav").write_bytes(BEN.wav)
    async with live(temporal_client, one_after_the_other, algorithm, at_once=1):
        backfill = await start(temporal_client, engineers, Backfill(batch=200, task_queue=algorithm))
        await eventually(lambda: waiting(backfill, at_least=100))
        call = await temporal_client.start_workflow(
            SpeakerIdentificationWorkflow.run,
            IdentificationRequest(clip=NOBODY, task_queue=algorithm),
            id=f"identify-{uuid4()}",
            task_queue=engineers,
        )
        await eventually(lambda: waiting(call, at_least=1))
        before = len(order)
        may_go_on.set()
        await call.result()
        await backfill.result()

    # The queue has four partitions, each with the interactive call first if it has it, polled at random.
    assert NOBODY.wav in order[before : before + 40]


async def waiting(handle: WorkflowHandle[Any, Any], *, at_least: int) -> bool:
    return len((await handle.describe()).raw_description.pending_activities) >= at_least


async def test_without_a_live_build_the_backfill_waits_and_can_be_cancelled(
    temporal_client: Client, engineers: str, archive: Path, keep: Keep
) -> None:
    backfill = await start(temporal_client, engineers, Backfill(batch=2, task_queue=unused_queue()))
    await eventually(lambda: waiting(backfill, at_least=2))
    assert (await backfill.query(ArchiveBackfillWorkflow.progress)).done == 0
    await backfill.cancel()
    await eventually(lambda: is_over(backfill))
    await keep(backfill, "backfill-cancelled")


async def is_over(handle: Handle) -> bool:
    return (await handle.describe()).close_time is not None
