"""Each of `examples/` as somebody copies it: committed, delivered, and called by workflows that run already."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from pipeline.worker.checkpoint import read
from tests.parts.conduit import QUICK_RELEASE, Conduit
from tests.parts.repos import commit, git, make_repo
from tests.parts.temporal import DevServer
from tests.parts.waiting import eventually

EXAMPLES = Path(__file__).parents[3] / "examples"
TEXT = "The committee met on Monday and talked about the new bridge, which nobody had asked for and nobody wanted."

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def conduit(tmp_path: Path, temporal_server: DevServer) -> Iterator[Conduit]:
    conduit = Conduit(home=tmp_path / "home", environment=temporal_server.environment)
    yield conduit
    conduit.clean_up()


def copied(name: str, folder: Path, quick: str = QUICK_RELEASE) -> Path:
    """An example as a repo of its own, whose releases take seconds; `quick` ends its configuration."""
    repo = shutil.copytree(EXAMPLES / name, folder / name)
    configured = re.sub(r'"\d+m"', '"1s"', (repo / "pyproject.toml").read_text())
    make_repo(repo, {"pyproject.toml": configured + quick})
    return repo


async def deliver(conduit: Conduit, repo: Path) -> str:
    """Deliver HEAD; return the build's ID."""
    done = await asyncio.to_thread(conduit.good, "deliver", "--project", str(repo), "--json")
    return str(done.json["build_id"])


@contextmanager
def engineer(repo: Path, script: str, argument: Path, server: DevServer) -> Iterator["subprocess.Popen[str]"]:
    """The engineer's script of an example, running."""
    with subprocess.Popen(
        [sys.executable, f"engineer/{script}", str(argument)],
        cwd=repo,
        env={**os.environ, **server.environment, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def printed(process: "subprocess.Popen[str]", within: float) -> str:
    """What a script prints until its end, which must be a good one."""
    out, err = await asyncio.to_thread(process.communicate, timeout=within)
    assert process.returncode == 0, err
    return out


async def events(client: Client, workflow_id: str) -> list[HistoryEvent]:
    return [event async for event in client.get_workflow_handle(workflow_id).fetch_history_events()]


@workflow.defn
class Reads:
    @workflow.run
    async def run(self, text: dict[str, str]) -> dict[str, float]:
        answer: dict[str, float] = await workflow.execute_activity(
            "readability",
            text,
            task_queue="readability",
            start_to_close_timeout=timedelta(minutes=1),
        )
        return answer


async def test_minimal(conduit: Conduit, temporal_client: Client, tmp_path: Path) -> None:
    repo = copied("minimal", tmp_path)
    example = json.loads((repo / "examples" / "science.json").read_text())
    async with Worker(temporal_client, task_queue="readers", workflows=[Reads]):
        waiting = await temporal_client.start_workflow(
            Reads.run, example["input"], id="reads", task_queue="readers"
        )
        await deliver(conduit, repo)
        assert await waiting.result() == pytest.approx(example["output"], abs=example["tolerance"])
    # What its tests left behind is ignored.
    assert git(repo, "status", "--porcelain") == ""


async def test_batch(
    conduit: Conduit, temporal_server: DevServer, temporal_client: Client, tmp_path: Path
) -> None:
    repo = copied("batch", tmp_path, 'inconclusive-limit = "1s"\n')
    archive = tmp_path / "archive"
    for customer, texts in {"acme": [TEXT, TEXT.upper(), "Nothing like it."], "zenith": [TEXT]}.items():
        (archive / customer).mkdir(parents=True)
        for number, text in enumerate(texts):
            (archive / customer / f"{number}.txt").write_text(text)

    with engineer(repo, "find_copies.py", archive, temporal_server) as script:
        await deliver(conduit, repo)
        assert await printed(script, within=60) == "acme: 0.txt and 1.txt are alike\n"
    for customer, calls in (("acme", 3), ("zenith", 1)):
        called = [
            event.activity_task_scheduled_event_attributes
            for event in await events(temporal_client, f"find-copies-{customer}")
            if event.HasField("activity_task_scheduled_event_attributes")
        ]
        queued = [(one.task_queue.name, one.priority.fairness_key) for one in called]
        assert queued == [("fingerprints/batch", customer)] * calls

    stubs = str(repo / "engineer" / "fingerprints_stubs.py")
    checked = await asyncio.to_thread(conduit.good, "stubs", "fingerprints", "--check", stubs, "--json")
    assert checked.json["changes"] == []


async def test_long_running(
    conduit: Conduit, temporal_server: DevServer, temporal_client: Client, tmp_path: Path
) -> None:
    """A call that would take many minutes ends soon on a build that is faster, with what was found before.

    Over the whole series a forecast is hardly ever wrong; over its end, to which the faster build looks, always.
    """
    repo = copied("long-running", tmp_path)
    series = tmp_path / "series.txt"
    series.write_text("0\n" * 100_000 + "0\n100\n" * 50)
    first = await deliver(conduit, repo)

    async def has_saved() -> bool:
        for pending in await pending_activities(temporal_client, "tune-forecast"):
            details = await temporal_client.data_converter.decode(pending.heartbeat_details.payloads)
            return first in pending.last_worker_identity and read(details) is not None
        return False

    with engineer(repo, "tune_forecast.py", series, temporal_server) as script:
        await eventually(has_saved, within=60)
        slow = (repo / "tuning.py").read_text()
        faster = slow.replace("forecast_error(series.values, ", "forecast_error(series.values[-100:], ")
        assert faster != slow
        commit(repo, {"tuning.py": faster})
        second = await deliver(conduit, repo)
        told = await printed(script, within=120)
    assert re.fullmatch(r"factor 0\.\d+, mean error 0\.0\d+\n", told), told
    (ended,) = [
        event.activity_task_started_event_attributes
        for event in await events(temporal_client, "tune-forecast")
        if event.HasField("activity_task_started_event_attributes")
    ]
    assert second in ended.identity
    assert ended.attempt > 1


async def pending_activities(client: Client, workflow_id: str) -> Sequence[PendingActivityInfo]:
    """The calls that a workflow waits for, if it has begun."""
    try:
        described = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return ()
    return described.raw_description.pending_activities
