"""A long call and two releases from the command line: one that would lose its state, and one that goes on from it."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import GateFailed
from tests.integration.worker import long_running
from tests.integration.worker.conftest import Algorithm
from tests.integration.worker.long_running import (
    FIRST,
    FOURTH_THAT_FORGETS,
    SECOND,
    LongCall,
    LongRunning,
    Work,
)
from tests.parts.conduit import Conduit, research_repo
from tests.parts.repos import FILES
from tests.parts.temporal import DevServer
from tests.parts.waiting import eventually

TESTED = """test = ["python", "-c", "from activities import STATE; assert STATE.version"]
"""
"""The repo's own test imports what the worker host brings, though the repo does not depend on it."""


@pytest.fixture
def conduit(tmp_path: Path, temporal_server: DevServer) -> Iterator[Conduit]:
    environment = {**temporal_server.environment, "STEPS_FOLDER": str(tmp_path)}
    conduit = Conduit(home=tmp_path / "home", environment=environment)
    yield conduit
    conduit.clean_up()


async def test_a_build_that_forgets_its_migrations_stops_at_the_gate_and_a_better_one_goes_on(
    algorithm: Algorithm, conduit: Conduit, tmp_path: Path
) -> None:
    files = {**FILES, "activities.py": long_running.algorithm(FIRST)}
    repo = research_repo(tmp_path / "repo", algorithm.name, files, TESTED)
    deliver = ("deliver", "--project", str(repo.folder), "--json")
    first = (await asyncio.to_thread(conduit.good, *deliver)).json["build_id"]
    calls = [
        await algorithm.client.start_workflow(
            LongRunning.run,
            LongCall(task_queue=algorithm.name, activity="add_in_thread", work=Work(), attempts=attempts),
            id=f"long-{attempts}-{uuid.uuid4()}",
            task_queue=algorithm.callers,
        )
        for attempts in (0, 1)
    ]
    moves, stays = calls
    for call in calls:
        await is_at_work(tmp_path, call.id, first)

    repo.commit({"activities.py": long_running.algorithm(FOURTH_THAT_FORGETS)})
    refused = await asyncio.to_thread(conduit, *deliver)
    assert refused.code == GateFailed.exit_code, refused.err
    assert "this build does not read the state that 2 running calls saved" in refused.err
    assert f"workflow {moves.id}: state 'sum' of version 1 cannot be read" in refused.err
    assert f"add_in_thread of workflow {stays.id}" in refused.err

    repo.commit({"activities.py": long_running.algorithm(SECOND)})
    second = (await asyncio.to_thread(conduit.good, *deliver)).json["build_id"]
    await is_at_work(tmp_path, moves.id, second)
    long_running.finish(tmp_path)
    for call, build, migrated in ((moves, second, [1]), (stays, first, [])):
        done = await asyncio.wait_for(call.result(), 60)
        assert long_running.is_right(done)
        assert (done.build, done.migrated) == (build, migrated)
        begun = long_running.steps(tmp_path, call.id)
        assert not long_running.repeated(begun)
        assert {step.build for step in begun} <= {first, second}


async def is_at_work(folder: Path, call: str, build_id: str) -> None:
    async def working() -> bool:
        return any(step.build == build_id for step in long_running.steps(folder, call)[5:])

    await eventually(working, within=60)
