from collections.abc import Awaitable, Callable

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError, CancelledError

from tests.integration.workflows.algorithm import ANNA, BEN, NOBODY, SPEAKERS, knowing, live, unused_queue
from tests.integration.workflows.recording import Keep
from tests.integration.workflows.streams import Handle, runs, start
from tests.parts.waiting import eventually
from workflows.models import AudioClip, SpeakerStream, StreamProgress
from workflows.stream import SpeakerStreamWorkflow


async def test_a_stream_counts_its_clips_by_speaker(temporal_client: Client, engineers: str) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        given = SpeakerStream(clips=(ANNA, BEN, ANNA), open=False, task_queue=algorithm)
        stream = await start(temporal_client, engineers, given)
        summary = await stream.result()

    assert (summary.identified, summary.refused, summary.waiting) == (3, 0, 0)
    assert summary.speakers == {"anna": 2, "ben": 1}


async def test_clips_are_added_to_a_running_stream_until_it_is_finished(
    temporal_client: Client, engineers: str, keep: Keep
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        stream = await start(temporal_client, engineers, SpeakerStream(task_queue=algorithm))
        await stream.execute_update(SpeakerStreamWorkflow.add, ANNA)
        await eventually(lambda: identified(stream, at_least=1))
        await stream.execute_update(SpeakerStreamWorkflow.add, BEN)
        await stream.signal(SpeakerStreamWorkflow.finish)

        assert (await stream.result()).speakers == {"anna": 1, "ben": 1}
    await keep(stream, "stream-finished")


async def test_what_arrives_during_a_call_is_not_lost(temporal_client: Client, engineers: str) -> None:
    algorithm = unused_queue()
    stream = await start(temporal_client, engineers, SpeakerStream(clips=(ANNA,), task_queue=algorithm))
    await eventually(lambda: has_called(stream))
    await stream.execute_update(SpeakerStreamWorkflow.add, BEN)
    await stream.signal(SpeakerStreamWorkflow.finish)

    async with live(temporal_client, knowing(SPEAKERS), algorithm):
        assert (await stream.result()).speakers == {"anna": 1, "ben": 1}


async def test_a_repeated_stream_goes_on_until_it_is_finished(
    temporal_client: Client, engineers: str, keep: Keep
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        given = SpeakerStream(clips=(ANNA, BEN), repeat=True, interval=0.05, task_queue=algorithm)
        stream = await start(temporal_client, engineers, given)
        await eventually(lambda: identified(stream, at_least=3))
        await stream.signal(SpeakerStreamWorkflow.finish)
        summary = await stream.result()

    assert summary.speakers.keys() == {"anna", "ben"}
    assert summary.waiting == 0
    await keep(stream, "stream-repeated")


async def test_finish_ends_a_pause(temporal_client: Client, engineers: str) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        given = SpeakerStream(clips=(ANNA, BEN), interval=86_400, task_queue=algorithm)
        stream = await start(temporal_client, engineers, given)
        await eventually(lambda: identified(stream, at_least=1))
        await stream.signal(SpeakerStreamWorkflow.finish)

        assert (await stream.result()).identified == 2


async def test_a_stream_continues_as_new_and_loses_nothing(
    temporal_client: Client, engineers: str, keep: Keep
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        clips = (ANNA, BEN, NOBODY, ANNA, BEN)
        given = SpeakerStream(clips=clips, open=False, calls_per_run=2, task_queue=algorithm)
        stream = await start(temporal_client, engineers, given)
        summary = await stream.result()

    assert (summary.identified, summary.refused) == (4, 1)
    assert summary.speakers == {"anna": 2, "ben": 2}
    first, second, last = await runs(temporal_client, stream)
    await keep(first, "stream-continued-first-run")
    await keep(second, "stream-continued-second-run")
    await keep(last, "stream-continued-last-run")


async def test_a_stream_continues_as_new_when_the_server_suggests_it(
    temporal_client: Client, engineers: str
) -> None:
    large = AudioClip(wav=bytes(900_000))
    async with live(temporal_client, knowing({large.wav: "anna"})) as algorithm:
        given = SpeakerStream(clips=(large,), repeat=True, until=6, task_queue=algorithm)
        stream = await start(temporal_client, engineers, given)

        assert (await stream.result()).identified == 6
    assert len(await runs(temporal_client, stream)) == 2


async def test_a_finished_stream_is_still_finished_in_its_next_run(
    temporal_client: Client, engineers: str
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        given = SpeakerStream(clips=(ANNA, BEN, ANNA), repeat=True, calls_per_run=1, task_queue=algorithm)
        stream = await start(temporal_client, engineers, given, start_signal="finish")

        assert (await stream.result()).identified == 3
    assert len(await runs(temporal_client, stream)) == 3


async def test_a_clip_that_the_algorithm_refuses_does_not_stop_the_stream(
    temporal_client: Client, engineers: str
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        given = SpeakerStream(clips=(NOBODY, ANNA), open=False, task_queue=algorithm)
        summary = await (await start(temporal_client, engineers, given)).result()

    assert (summary.identified, summary.refused) == (1, 1)


async def test_a_full_stream_refuses_a_clip(temporal_client: Client, engineers: str) -> None:
    given = SpeakerStream(clips=(AudioClip(wav=bytes(1_000_000)),), task_queue=unused_queue())
    stream = await start(temporal_client, engineers, given)

    assert await refusal(lambda: stream.execute_update(SpeakerStreamWorkflow.add, ANNA)) == "StreamFull"
    assert (await stream.query(SpeakerStreamWorkflow.progress)).waiting == 1
    await stream.terminate()


async def test_a_closed_stream_refuses_a_clip(temporal_client: Client, engineers: str) -> None:
    given = SpeakerStream(clips=(ANNA,), open=False, task_queue=unused_queue())
    stream = await start(temporal_client, engineers, given)

    assert await refusal(lambda: stream.execute_update(SpeakerStreamWorkflow.add, ANNA)) == "StreamClosed"
    await stream.terminate()


async def test_a_cancelled_stream_ends_though_the_algorithm_has_no_build(
    temporal_client: Client, engineers: str, keep: Keep
) -> None:
    stream = await start(temporal_client, engineers, SpeakerStream(clips=(ANNA,), task_queue=unused_queue()))
    await eventually(lambda: has_called(stream))
    await stream.cancel()

    with pytest.raises(WorkflowFailureError) as failure:
        await stream.result()
    assert isinstance(failure.value.cause, CancelledError)
    assert (await stream.describe()).status is WorkflowExecutionStatus.CANCELED
    await keep(stream, "stream-cancelled")


async def test_temporals_pages_show_the_progress(temporal_client: Client, engineers: str) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        stream = await start(temporal_client, engineers, SpeakerStream(clips=(ANNA,), task_queue=algorithm))
        await eventually(lambda: identified(stream, at_least=1))

        shown = await stream.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        await stream.signal(SpeakerStreamWorkflow.finish)
        await stream.result()
    assert shown.current_details.splitlines() == ["1 identified, 0 refused, 0 waiting", "", "- `anna`: 1"]


async def identified(stream: Handle, *, at_least: int) -> bool:
    progress = await stream.query(SpeakerStreamWorkflow.progress)
    return progress.identified >= at_least


async def has_called(stream: Handle) -> bool:
    return bool((await stream.describe()).raw_description.pending_activities)


async def refusal(update: Callable[[], Awaitable[StreamProgress]]) -> str | None:
    """The type of the error with which an update is refused."""
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await update()
    assert isinstance(failure.value.cause, ApplicationError)
    return failure.value.cause.type
