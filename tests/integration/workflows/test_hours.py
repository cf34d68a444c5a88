from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkipper
from temporalio.worker import Worker

from tests.integration.workflows.algorithm import ANNA, BEN, SPEAKERS, knowing, live
from tests.integration.workflows.streams import runs, start
from tests.parts.temporal import DevServer
from workflows.models import SpeakerStream
from workflows.worker import TASK_QUEUE, WORKFLOWS


@pytest.fixture
async def client(temporal_server: DevServer, tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a server on which a workflow's timers take no time."""
    skipping = {"frontend.WorkflowTimeSkippingEnabled": "true"}
    with DevServer(temporal_server.binary, tmp_path, dynamic_config=skipping) as server:
        yield await Client.connect(server.address, data_converter=pydantic_data_converter)


async def test_a_stream_of_a_day_at_four_hours_a_clip(client: Client) -> None:
    given = SpeakerStream(clips=(ANNA, BEN), repeat=True, interval=4 * 3600, until=6, calls_per_run=3)
    async with (
        Worker(client, task_queue=TASK_QUEUE, workflows=WORKFLOWS),
        live(client, knowing(SPEAKERS), given.task_queue),
    ):
        stream = await start(TimeSkipper(client).client, TASK_QUEUE, given)
        summary = await stream.result()

    assert summary.speakers == {"anna": 3, "ben": 3}
    assert len(await runs(client, stream)) == 2
