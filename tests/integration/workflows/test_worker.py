import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client

import workflows
from tests.integration.workflows.algorithm import ANNA, BEN, SPEAKERS, knowing, live
from tests.parts.temporal import DevServer
from workflows.identification import SpeakerIdentificationWorkflow
from workflows.models import ALGORITHM_QUEUE, IdentificationRequest
from workflows.worker import TASK_QUEUE

ENDS_WITHIN = 30.0


ROOT = Path(workflows.__file__).parents[1]


@pytest.fixture
def worker(temporal_server: DevServer, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The worker as engineers start it."""
    command = [sys.executable, "-m", "workflows.worker"]
    environment = os.environ | temporal_server.environment | {"SPEAKER_ARCHIVE": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
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


@pytest.mark.usefixtures("worker")
async def test_the_backfill_of_the_page_works_when_pasted(
    temporal_server: DevServer, temporal_client: Client, tmp_path: Path
) -> None:
    for customer, clip in (("acme", ANNA), ("zoo", BEN)):
        (tmp_path / customer).mkdir()
        (tmp_path / customer / "monday.wav").write_bytes(clip.wav)
    script = re.findall(r"```python\n(.*?)```", (ROOT / "docs/batch.md").read_text(), re.DOTALL)[0]
    (tmp_path / "backfill.py").write_text(script)
    environment = os.environ | temporal_server.environment | {"PYTHONPATH": str(ROOT)}
    async with live(temporal_client, knowing(SPEAKERS), ALGORITHM_QUEUE):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "backfill.py", cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
        )
        told, _ = await asyncio.wait_for(process.communicate(), 60)

    assert told.decode() == "2 of 2 clips identified\n"
    assert '"anna"' in (tmp_path / "acme/monday.wav.speaker.json").read_text()
