"""What an older build answered is counted, made again on the live one, and goes on where it was cut off."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import Priority
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from pipeline.errors import BackfillUnderWay, OutputUnusable, UnknownBuild
from tests.parts.conduit import Conduit, Repo, research_repo
from tests.parts.repos import ACTIVITY, FILES
from tests.parts.temporal import DevServer
from tests.parts.waiting import eventually_sync

WRONG = ACTIVITY.replace("max(clip.samples)", "clip.samples[0]")
SLOW = ACTIVITY.replace("    return", "    import time\n    time.sleep(0.3)\n    return")
CLIPS = ([1.0, 2.0], [4.0, 3.0], [5.0, 6.0], [8.0, 7.0])
WORKFLOWS = 3


@workflow.defn
class Measures:
    """Calls the algorithm for each clip."""

    @workflow.run
    async def run(self, algorithm: str, clips: list[list[float]]) -> list[Any]:
        return [
            await workflow.execute_activity(
                "measure",
                {"samples": clip},
                task_queue=algorithm,
                start_to_close_timeout=timedelta(seconds=60),
                priority=Priority(fairness_key="acme"),
            )
            for clip in clips
        ]


@pytest.fixture
def conduit(tmp_path: Path, temporal_server: DevServer) -> Iterator[Conduit]:
    conduit = Conduit(home=tmp_path / "home", environment=temporal_server.environment)
    yield conduit
    conduit.clean_up()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    algorithm = f"measure-{uuid.uuid4().hex[:8]}"
    return research_repo(tmp_path / "repo", algorithm, {**FILES, "activities.py": WRONG}, "test = []\n")


def deliver(conduit: Conduit, repo: Repo) -> str:
    return str(conduit.good("deliver", "--project", str(repo.folder), "--json").json["build_id"])


def lines(output: Path) -> list[Any]:
    return [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []


async def summaries(client: Client, algorithm: str) -> set[str]:
    """What Temporal's UI shows beside the calls that a backfill made."""
    return {
        json.loads(event.user_metadata.summary.data)
        async for event in client.get_workflow_handle(f"conduit/backfill/{algorithm}").fetch_history_events()
        if event.activity_task_scheduled_event_attributes.activity_type.name == "measure"
    }


async def test_an_older_builds_answers_are_counted_and_made_again_through_a_kill(
    conduit: Conduit, repo: Repo, temporal_client: Client, tmp_path: Path
) -> None:
    first = await asyncio.to_thread(deliver, conduit, repo)
    queue = f"callers-{uuid.uuid4()}"
    async with Worker(
        temporal_client, task_queue=queue, workflows=[Measures], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        for number in range(WORKFLOWS):
            await temporal_client.execute_workflow(
                Measures.run,
                args=[repo.algorithm, list(CLIPS)],
                id=f"{repo.algorithm}-{number}",
                task_queue=queue,
            )
    repo.commit({"activities.py": SLOW})
    second = await asyncio.to_thread(deliver, conduit, repo)

    output = tmp_path / "again.jsonl"
    command = ("backfill", repo.algorithm, "--build", first, "--output", str(output), "--json")
    counted = (await asyncio.to_thread(conduit.good, *command)).json
    assert (counted["calls"], counted["done"], counted["current"]) == (12, 0, second)
    assert not output.exists()
    # The gates' own workflows, which are later, take no caller's place.
    latest = await asyncio.to_thread(conduit.good, *command, "--most", str(WORKFLOWS))
    assert latest.json["calls"] == 12

    cut_off = conduit.start(*command, "--yes", "--batch", "2")

    def is_under_way() -> bool:
        assert cut_off.poll() is None, cut_off.communicate()
        return len(lines(output)) >= 2

    await asyncio.to_thread(eventually_sync, is_under_way, within=120)
    cut_off.kill()
    cut_off.wait()
    beside = await asyncio.to_thread(conduit, *command[:5], f"{output}.2", "--json", "--yes")
    assert beside.code == BackfillUnderWay.exit_code
    assert f"It writes {output}," in beside.out + beside.err
    done = (await asyncio.to_thread(conduit.good, *command, "--yes", "--batch", "2")).json
    assert done["outcomes"] == {"different": 6, "same": 6}
    found = lines(output)
    planned = [json.loads(line) for line in (tmp_path / "again.jsonl.plan").read_text().splitlines()[1:]]
    assert [line["call"] for line in found] == planned
    answers = sorted((line["before"]["peak"], line["after"]["peak"]) for line in found)
    assert answers == sorted((clip[0], max(clip)) for clip in CLIPS * WORKFLOWS)

    assert await summaries(temporal_client, repo.algorithm) == {
        f"{repo.algorithm}: measure again, which {first} answered for {repo.algorithm}-{number}"
        for number in range(WORKFLOWS)
    }

    again = (await asyncio.to_thread(conduit.good, *command, "--yes")).json
    assert again["done"] == 12
    assert lines(output) == found
    other = await asyncio.to_thread(conduit, *command[:3], second, *command[4:])
    assert other.code == OutputUnusable.exit_code
    unknown = await asyncio.to_thread(conduit, *command[:3], "nothing", *command[4:])
    assert unknown.code == UnknownBuild.exit_code
    output.write_text("somebody's notes\n")
    changed = await asyncio.to_thread(conduit, *command)
    assert changed.code == OutputUnusable.exit_code
