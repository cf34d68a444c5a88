"""A release whose command is killed, or whose server restarts, ends well when the command is run again."""

import asyncio
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from pipeline.deployments import Deployments
from pipeline.rollout.messages import workflow_id
from pipeline.rollout.serving import RUNNER
from pipeline.rollout.workflow import RollBack, Rollout
from tests.integration.rollout.calls import call_once
from tests.integration.rollout.conftest import Stage
from tests.parts.conduit import Conduit, research_repo
from tests.parts.temporal import DevServer, temporal_binary
from tests.parts.waiting import eventually_sync

QUICK = """\
test = []
grace = "1s"
gates.replay.calls = 0
release.steps = [{ ramp = 50, for = "2s" }]
release.inconclusive-limit = "1s"
release.watch = "2s"
"""
STEPS = ["register", "judge 50 %", "promote", "watch"]


def commit(stage: Stage) -> None:
    pyproject = (stage.repo.folder / "pyproject.toml").read_text()
    short = pyproject.replace('for = "3s"', 'for = "2s"').replace('watch = "8s"', 'watch = "2s"')
    stage.repo.commit({"pyproject.toml": short, "README.md": uuid.uuid4().hex})


def killed_at(process: subprocess.Popen[str], step: str) -> None:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.strip() == f"… {step}":
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return
    raise AssertionError(f"{step} did not come: {''.join(seen)}")


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_release_is_begun_anew_by_the_same_command(stage: Stage, step: str) -> None:
    asyncio.run(call_once(stage.server.address, stage.algorithm))
    commit(stage)
    arguments = ("deliver", "--project", str(stage.repo.folder), "--json")
    before = stage.conduit.good("status", stage.algorithm, "--json").json["current"]["build_id"]
    killed_at(stage.conduit.start(*arguments[:-1]), step)
    build_id = stage.conduit.good(*arguments).json["build_id"]
    told = stage.conduit.good("status", stage.algorithm, "--json").json
    assert (told["current"]["build_id"], told["ramping"], told["release"]) == (build_id, None, None)
    alive = stage.conduit.alive(stage.algorithm)
    assert alive[build_id] == alive[before] == 1


async def test_every_release_and_roll_back_so_far_replays(stage: Stage) -> None:
    client = await stage.client()
    replayer = Replayer(
        workflows=[Rollout, RollBack], data_converter=pydantic_data_converter, workflow_runner=RUNNER
    )
    query = f"WorkflowId = '{workflow_id(stage.algorithm)}' AND ExecutionStatus = 'Completed'"
    runs = [run async for run in client.list_workflows(query)]
    assert runs
    for run in runs:
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        history: WorkflowHistory = await handle.fetch_history()
        await replayer.replay_workflow(history)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[DevServer]:
    binary = temporal_binary()
    if binary is None:
        pytest.skip("no `temporal` binary")
    with DevServer(binary, tmp_path) as server:
        yield server


def test_a_server_that_restarts_in_mid_ramp_only_delays(
    release_home: Path, own_server: DevServer, tmp_path: Path
) -> None:
    conduit = Conduit(home=release_home, environment=own_server.environment)
    repo = research_repo(tmp_path / "repo", "restarted", extra=QUICK.replace('"2s" }', '"6s" }'))
    try:
        conduit.good("deliver", "--project", str(repo.folder))
        asyncio.run(call_once(own_server.address, "restarted"))
        repo.commit({"README.md": "better"})
        process = conduit.start("deliver", "--project", str(repo.folder), "--json")
        eventually_sync(lambda: asyncio.run(ramping(own_server, "restarted")), within=90)
        own_server.restart(kill=True)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, out + err
        told = conduit.good("status", "restarted", "--json").json
        assert told["ramping"] is None
        assert len(told["builds"]) == 2
    finally:
        conduit.clean_up()


async def ramping(server: DevServer, algorithm: str) -> str | None:
    client = await Client.connect(server.address)
    seen = await Deployments(client).describe(algorithm)
    return seen.ramping if seen else None
