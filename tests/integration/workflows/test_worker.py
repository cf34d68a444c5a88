import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client

import workflows
from tests.integration.workflows.algorithm import ANNA, SPEAKERS, knowing, live
from tests.parts.temporal import DevServer
from workflows.identification import SpeakerIdentificationWorkflow
from workflows.models import IdentificationRequest
from workflows.worker import TASK_QUEUE

ENDS_WITHIN = 30.0


@pytest.fixture
def worker(temporal_server: DevServer) -> Iterator[subprocess.Popen[bytes]]:
    """The worker as engineers start it."""
    command = [sys.executable, "-m", "workflows.worker"]
    environment = os.environ | temporal_server.environment
    with subprocess.Popen(command, cwd=Path(workflows.__file__).parents[1], env=environment) as process:
        yield process
        process.kill()


async def test_the_worker_runs_workflows_until_it_is_told_to_stop(
    temporal_client: Client, worker: subprocess.Popen[bytes]
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        answer = await temporal_client.execute_workflow(
            SpeakerIdentificationWorkflow.run,
            IdentificationRequest(clip=ANNA, task_queue=algorithm),
            id=f"identify-{uuid4()}",
            task_queue=TASK_QUEUE,
        )
    worker.send_signal(signal.SIGTERM)

    assert answer.speaker == "anna"
    assert worker.wait(ENDS_WITHIN) == 0
