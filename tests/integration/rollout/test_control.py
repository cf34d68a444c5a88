"""People and the standing controller: pause, resume, promote, abort, hold, detach."""

import asyncio
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from temporalio.client import Client

from pipeline import errors
from pipeline.commands import control
from pipeline.commands.session import Session
from pipeline.deployments import Deployments
from pipeline.devserver import DevServer
from pipeline.models import Build
from pipeline.report import Report
from pipeline.rollout import host
from pipeline.rollout.activities import Activities
from pipeline.rollout.messages import Progress, RollBackRequest, Routed, workflow_id
from pipeline.rollout.plan import Stage as At
from tests.integration.rollout.calls import call_once
from tests.integration.rollout.conftest import GOOD, SETTINGS, Stage, activity
from tests.parts.load import Calling, running_load
from tests.parts.repos import CONFIGURED, PROJECT
from tests.parts.waiting import eventually, eventually_sync

LATE = 120.0


def settings(stage: Stage, **changed: str) -> dict[str, str]:
    """The repo's configuration with other lines for some keys of a release."""
    kept = [
        line for line in SETTINGS.splitlines() if not line.startswith(tuple(f"release.{k}" for k in changed))
    ]
    lines = [*kept, *(f"release.{key} = {value}" for key, value in changed.items())]
    table = CONFIGURED.replace('"measure"', f'"{stage.algorithm}"')
    return {"pyproject.toml": PROJECT + table + "\n".join(lines) + "\n"}


async def until(on: Stage, client: Client, build: Build, /, **fields: object) -> Progress:
    """Wait until the release of a build tells so."""

    async def probe() -> Progress | None:
        told = await on.progress(client)
        if told is None or told.build_id != build.build_id:
            return None
        return told if all(getattr(told, name) == value for name, value in fields.items()) else None

    return await eventually(probe, within=LATE)


@asynccontextmanager
async def releasing(stage: Stage, client: Client, build: Build) -> AsyncIterator[asyncio.Task[Routed]]:
    task = asyncio.create_task(stage.release(client, build))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_release_is_paused_resumed_promoted_and_its_watch_ended(stage: Stage) -> None:
    client = await stage.client()
    build = await stage.build(
        {
            **settings(stage, steps="[{ ramp = 50, for = '1h' }]", watch="'1h'"),
            **activity("pass", revision="controlled"),
        }
    )
    conduit, algorithm = stage.conduit, stage.algorithm
    async with (
        running_load(client, Calling(algorithm=algorithm), 4) as load,
        releasing(stage, client, build) as release,
    ):
        await until(stage, client, build, stage=At.RAMP, percent=50.0)
        paused = await asyncio.to_thread(conduit.good, "pause", algorithm, "--reason", "lunch", "--json")
        assert (paused.json["heard"], paused.json["progress"]["waits"]) == (True, "paused")
        status = await asyncio.to_thread(conduit.good, "status", algorithm, "--json")
        assert status.json["release"]["waits"] == "paused"
        assert status.json["ramping"] == {"build_id": build.build_id, "percentage": 50.0}
        resumed = await asyncio.to_thread(conduit.good, "resume", algorithm, "--json")
        assert resumed.json["progress"]["waits"] == ""
        await asyncio.to_thread(conduit.good, "promote", algorithm, "--reason", "urgent")
        await until(stage, client, build, stage=At.WATCH)
        assert (await stage.seen(client)).current == build.build_id
        table = await asyncio.to_thread(conduit.good, "status", algorithm)
        assert f"a release of {build.build_id} is running: watch" in table.out
        await asyncio.to_thread(conduit.good, "promote", algorithm)
        async with asyncio.timeout(LATE):
            assert (await release).build_id == build.build_id
        assert all(one.wrong == 0 for one in await load.finish())
    seen = await stage.seen(client)
    assert (seen.current, seen.ramping) == (build.build_id, None)
    await stage.keep(client, "paused-resumed-promoted")


async def test_a_release_that_nobody_calls_is_held_where_the_config_says_so_and_aborted(stage: Stage) -> None:
    client = await stage.client()
    good = (await stage.seen(client)).current
    held = settings(
        stage,
        **{"on-inconclusive": "'hold'", "inconclusive-limit": "'1s'", "steps": "[{ ramp = 50, for = '1s' }]"},
    )
    build = await stage.build({**held, **activity("pass", revision="held")})
    async with releasing(stage, client, build) as release:
        told = await until(stage, client, build, waits="held")
        assert told.judged[-1].verdict == "inconclusive"
        await asyncio.to_thread(stage.conduit.good, "abort", stage.algorithm, "--reason", "not today")
        with pytest.raises(errors.Aborted, match="aborted"):
            async with asyncio.timeout(LATE):
                await release
    seen = await stage.seen(client)
    assert (seen.current, seen.ramping) == (good, None)
    quarantine = (await stage.about(client, build.build_id)).quarantine
    assert quarantine is not None
    assert "not today" in quarantine.reason
    await stage.keep(client, "held-and-aborted")
    none = await asyncio.to_thread(stage.conduit, "pause", stage.algorithm)
    assert none.code == errors.NoRelease.exit_code


async def test_a_word_that_nobody_takes_in_is_said_to_be_left(
    temporal_client: Client, temporal_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "HEARD", 1.0)
    session = Session(environment={"TEMPORAL_ADDRESS": temporal_server.address}, report=Report(quiet=True))
    name = f"unserved-{uuid.uuid4().hex[:8]}"
    await temporal_client.start_workflow("Rollout", id=workflow_id(name), task_queue=name)
    told = await control.tell(session, name, "promote", "")
    assert not told.heard
    assert "nobody serves it" in told.lines()[0]


def controller(stage: Stage) -> subprocess.Popen[str]:
    process = stage.conduit.start("controller")
    assert process.stdout is not None
    assert "the controller serves" in process.stdout.readline()
    return process


async def test_a_detached_release_goes_on_in_a_controller_that_is_killed_and_started_again(
    stage: Stage,
) -> None:
    client = await stage.client()
    await stage.build(
        {
            **settings(stage, steps="[{ ramp = 50, for = '4s' }]", watch="'1s'"),
            **GOOD,
            "README.md": "detached",
        }
    )
    arguments = ("deliver", "--project", str(stage.repo.folder), "--detach", "--json")
    refused = await asyncio.to_thread(stage.conduit, *arguments)
    assert refused.code == errors.NoController.exit_code, refused.err
    first = await asyncio.to_thread(controller, stage)
    begun = await asyncio.to_thread(stage.conduit.good, *arguments)
    assert begun.json["decision"] == "begun"
    build_id = str(begun.json["build_id"])

    async def is_ramping() -> bool:
        return (await stage.seen(client)).ramping == build_id

    await eventually(is_ramping, within=LATE)
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = await asyncio.to_thread(controller, stage)

    async def is_done() -> bool:
        seen, told = await stage.seen(client), await stage.progress(client)
        return (seen.current, seen.ramping) == (build_id, None) and told is not None and told.stage == At.DONE

    await eventually(is_done, within=LATE)
    second.terminate()
    assert await asyncio.to_thread(second.wait, 60) == 0
    await stage.keep(client, "went-live-over-a-killed-controller")


def test_a_killed_delivery_is_adopted_by_the_controller(stage: Stage) -> None:
    asyncio.run(call_once(stage.server.address, stage.algorithm))
    stage.repo.commit(
        {**settings(stage, steps="[{ ramp = 50, for = '2s' }]", watch="'1s'"), "README.md": "adopted"}
    )
    killed = stage.conduit.start("deliver", "--project", str(stage.repo.folder))
    assert killed.stderr is not None
    build_id = next(line.split()[-1] for line in killed.stderr if "✓ build" in line)
    next(line for line in killed.stderr if "… judge" in line)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    serving = controller(stage)

    def is_live() -> bool:
        told = stage.conduit.good("status", stage.algorithm, "--json").json
        return bool((told["current"]["build_id"], told["ramping"], told["release"]) == (build_id, None, None))

    eventually_sync(is_live, within=LATE)
    serving.terminate()
    assert serving.wait(60) == 0


async def test_a_build_that_is_taken_back_by_hand_while_it_is_watched_is_not_told_to_be_live(
    stage: Stage,
) -> None:
    client = await stage.client()
    good = (await stage.seen(client)).current or ""
    build = await stage.build(
        {**settings(stage, steps="[]", watch="'60s'"), **activity("pass", revision="u")}
    )
    async with (
        running_load(client, Calling(algorithm=stage.algorithm), 2),
        releasing(stage, client, build) as release,
    ):
        await until(stage, client, build, stage=At.WATCH)
        deployments = Deployments(client)
        await deployments.set_current(await stage.seen(client), good)  # as Temporal's UI would
        with pytest.raises(errors.Superseded, match="by hand"):
            async with asyncio.timeout(LATE):
                await release
    assert (await stage.seen(client)).current == good
    assert (await stage.about(client, build.build_id)).quarantine is None
    assert build.build_id not in await asyncio.to_thread(stage.conduit.alive, stage.algorithm)


@pytest.mark.parametrize(
    ("hangs", "where"), [(Activities, "_is_able"), (Deployments, "wait_propagated")], ids=["before", "after"]
)
async def test_a_roll_back_that_is_asked_for_twice_is_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, hangs: type, where: str
) -> None:
    """The second comes before the first has routed calls back, or after that and before its quarantine."""
    client = await stage.client()
    good = (await stage.seen(client)).current
    assert good is not None
    stage.repo.commit(activity("pass", revision=where))
    bad = await asyncio.to_thread(stage.deliver)
    reached = asyncio.Event()

    async def hang(*_: object) -> bool:
        reached.set()
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(hangs, where, hang)
    target = stage.runtime().build(stage.algorithm, good)
    assert target is not None
    request = RollBackRequest(target=target, bad=bad, replicas=1, start_timeout=60, by="tests")
    first = asyncio.create_task(host.roll_back(client, request, stage.runtime(), lambda *_: None))
    await reached.wait()
    stage.repo.commit({"README.md": f"a push at the same time, {where}"})
    push = await asyncio.to_thread(stage.conduit, "deliver", "--project", str(stage.repo.folder))
    assert push.code == errors.ReleaseInFlight.exit_code
    told = await asyncio.to_thread(stage.conduit.good, "rollback", stage.algorithm, "--reason", "x", "--json")
    assert (told.json["build_id"], told.json["quarantined"]) == (good, bad)
    with pytest.raises(errors.Superseded):
        await first
    assert (await stage.seen(client)).current == good
    assert (await stage.about(client, good)).quarantine is None
    assert (await stage.about(client, bad)).quarantine is not None
    assert bad in await asyncio.to_thread(stage.conduit.alive, stage.algorithm)


async def test_a_roll_back_elsewhere_keeps_what_the_one_that_it_ends_took_away_from_coming_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await stage.client()
    builds = [(await stage.seen(client)).current or ""]
    for revision in ("second", "bad"):
        stage.repo.commit({"README.md": revision})
        builds.append(await asyncio.to_thread(stage.deliver))
    reached = asyncio.Event()

    async def hang(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Deployments, "wait_propagated", hang)
    target = stage.runtime().build(stage.algorithm, builds[1])
    assert target is not None
    request = RollBackRequest(target=target, bad=builds[2], replicas=1, start_timeout=60, by="tests")
    first = asyncio.create_task(host.roll_back(client, request, stage.runtime(), lambda *_: None))
    await reached.wait()
    arguments = ("rollback", stage.algorithm, "--to", builds[0], "--reason", "further back")
    await asyncio.to_thread(stage.conduit.good, *arguments)
    with pytest.raises(errors.Superseded):
        await first
    assert (await stage.seen(client)).current == builds[0]
    assert [(await stage.about(client, build)).quarantine is not None for build in builds] == [
        False,
        True,
        True,
    ]


def test_a_job_that_is_run_again_rolls_back_no_further(stage: Stage) -> None:
    def job(run: int) -> Any:
        github = {
            "GITHUB_SERVER_URL": "https://git.example",
            "GITHUB_REPOSITORY": "a/b",
            "GITHUB_RUN_ID": str(run),
        }
        conduit = replace(stage.conduit, environment={**stage.conduit.environment, **github})
        return conduit.good("rollback", stage.algorithm, "--reason", "x", "--json").json["build_id"]

    builds = []
    for revision in ("one", "two", "three"):
        stage.repo.commit({"README.md": revision})
        builds.append(stage.deliver())
    assert [job(1), job(1), job(2)] == [builds[1], builds[1], builds[0]]
