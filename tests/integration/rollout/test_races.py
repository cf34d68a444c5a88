"""Two pushes at once: the newest commit is Current in the end, and nothing is left of the other."""

import asyncio

import pytest

from pipeline import errors
from pipeline.rollout.messages import workflow_id
from tests.integration.rollout.calls import call_once
from tests.integration.rollout.conftest import Stage
from tests.parts.waiting import eventually, eventually_sync


@pytest.mark.parametrize("older_is_ahead", [False, True])
def test_of_two_deliveries_at_once_the_newest_goes_live(stage: Stage, older_is_ahead: bool) -> None:
    asyncio.run(call_once(stage.server.address, stage.algorithm))
    good = stage.conduit.good("status", stage.algorithm, "--json").json["current"]["build_id"]
    stage.repo.commit({"README.md": f"older {older_is_ahead}"})
    stage.repo.commit({"README.md": f"newer {older_is_ahead}"})
    project = ("--project", str(stage.repo.folder), "--json")
    older = stage.conduit.start("deliver", *project, "--commit", "HEAD~1")
    if older_is_ahead:  # its ramp is under way when the newer one comes
        eventually_sync(
            lambda: stage.conduit.good("status", stage.algorithm, "--json").json["ramping"], within=90
        )
    newer = stage.conduit.good("deliver", *project).json["build_id"]
    older.communicate(timeout=120)
    assert older.returncode in (
        0,
        errors.Superseded.exit_code,
        errors.OlderCommit.exit_code,
    )
    told = stage.conduit.good("status", stage.algorithm, "--json").json
    assert (told["current"]["build_id"], told["ramping"], told["release"]) == (newer, None, None)
    alive = stage.conduit.alive(stage.algorithm)
    assert alive.pop(newer) == 1
    assert alive.pop(good) == 1
    assert all(asyncio.run(was_current(stage, build_id)) for build_id in alive), "a worker is left over"
    if older_is_ahead:
        asyncio.run(keep_the_superseded(stage))


async def was_current(stage: Stage, build_id: str) -> bool:
    version = (await stage.seen(await stage.client())).version(build_id)
    return version is not None and version.was_current


async def keep_the_superseded(stage: Stage) -> None:
    client = await stage.client()
    query = f"WorkflowId = '{workflow_id(stage.algorithm)}' AND ExecutionStatus = 'Terminated'"

    async def superseded() -> str | None:
        runs = [run.run_id async for run in client.list_workflows(query)]
        return runs[0] if runs else None

    await stage.keep(client, "superseded-in-its-ramp", await eventually(superseded))
