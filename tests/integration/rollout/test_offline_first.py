"""A new build gets batch calls first, and interactive ones only once it is good at those."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from pipeline import errors
from pipeline.deployments import Deployments
from pipeline.gates import Verdict
from pipeline.models import Build
from pipeline.rollout.messages import workflow_id
from pipeline.worker.settings import batch_of
from tests.integration.rollout.conftest import Stage, activity
from tests.integration.rollout.test_survival import killed_at
from tests.parts.load import Calling, Load, running_load
from tests.parts.temporal import temporal_binary
from tests.parts.waiting import eventually

WORKFLOWS = 6
OFFLINE_FIRST = 'release.offline-first = { for = "2s" }\n'


@dataclass(frozen=True)
class Production:
    """Callers of both kinds."""

    interactive: Load
    batch: Load

    async def finish(self) -> None:
        """See that every workflow completes, and was never answered wrongly."""
        for load in (self.interactive, self.batch):
            called = await load.finish()
            assert [one.wrong for one in called] == [0] * WORKFLOWS
            assert all(one.right for one in called)


@asynccontextmanager
async def production(client: Client, algorithm: str) -> AsyncIterator[Production]:
    """Both kinds of callers are at work, those of batch from when there is a build that takes their calls."""
    calling = Calling(algorithm=algorithm, pause=0.2)
    offline = Calling(algorithm=batch_of(algorithm), pause=0.05)
    async with (
        running_load(client, calling, WORKFLOWS) as interactive,
        running_load(client, offline, WORKFLOWS) as batch,
    ):
        yield Production(interactive, batch)


async def build(stage: Stage, revision: str, body: str = "time.sleep(0.05)", settings: str = "") -> Build:
    pyproject = (stage.repo.folder / "pyproject.toml").read_text()
    shorter = pyproject.replace('watch = "8s"', 'watch = "2s"').replace(OFFLINE_FIRST, "")
    return await stage.build({**activity(body, revision=revision), "pyproject.toml": shorter + settings})


async def live(stage: Stage, client: Client) -> tuple[str | None, str | None]:
    """The builds that interactive and batch calls go to."""
    batch = await Deployments(client).describe(batch_of(stage.algorithm))
    return (await stage.seen(client)).current, batch.current if batch else None


async def first_call(load: Load, build_id: str) -> datetime:
    """When a build got its first of these calls."""
    return min(
        [
            event.event_time.ToDatetime(UTC)
            for handle in load.handles
            async for event in handle.fetch_history_events()
            if build_id in event.activity_task_started_event_attributes.identity
        ]
    )


async def begun(client: Client, algorithm: str, step: str) -> datetime:
    """When the latest release began a step."""
    async for event in client.get_workflow_handle(workflow_id(algorithm)).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED and (
            event.user_metadata.summary.data.decode().strip('"') == step
        ):
            return event.event_time.ToDatetime(UTC)
    raise AssertionError(f"no step {step}")


async def queues_called(client: Client, workflow: str) -> set[str]:
    """The queues on which a workflow called the algorithm."""
    return {
        event.activity_task_scheduled_event_attributes.task_queue.name
        async for event in client.get_workflow_handle(workflow).fetch_history_events()
        if event.activity_task_scheduled_event_attributes.activity_type.name == "measure"
    }


async def test_builds_go_to_batch_first_and_bad_ones_no_further(stage: Stage) -> None:
    client = await stage.client()
    without = (await stage.seen(client)).current
    assert await live(stage, client) == (without, None)

    # Switched on for an algorithm that is live: batch calls wait for the first build that takes them.
    first = await build(stage, "first", settings=OFFLINE_FIRST)
    async with production(client, stage.algorithm) as callers:
        steps: list[str] = []
        routed = await stage.release(client, first, steps)
        assert steps.index("judge offline ok") < steps.index("ramp 50 % started")
        assert routed.judged[1].stage == "offline"
        assert (routed.judged[1].verdict, routed.batch) == (Verdict.PASS, first.build_id)
        assert await live(stage, client) == (first.build_id, first.build_id)
        ramped = await begun(client, stage.algorithm, "ramp 50 %")
        assert await first_call(callers.batch, first.build_id) < ramped
        assert await first_call(callers.interactive, first.build_id) > ramped

        # A bad build is stopped there: it gets no interactive call, and its batch calls complete on the old build.
        bad = await build(stage, "bad", "raise RuntimeError('no weights')", settings=OFFLINE_FIRST)
        with pytest.raises(errors.BuildTurnedBad, match="at batch calls") as stopped:
            await stage.release(client, bad)
        assert "calls were waiting on the bad build" in stopped.value.log
        assert await live(stage, client) == (first.build_id, first.build_id)
        assert (await stage.about(client, bad.build_id)).quarantine is not None
        assert bad.build_id not in await asyncio.to_thread(stage.conduit.alive, stage.algorithm)
        answers = await callers.batch.answers()

        async def goes_on() -> bool:
            return await callers.batch.answers() > answers + WORKFLOWS

        await eventually(goes_on, within=60)
        await callers.finish()
        assert bad.build_id not in await callers.interactive.builds()

    # What a build answered is made again as batch calls.
    output = stage.repo.folder.parent / "again.jsonl"
    command = ("backfill", stage.algorithm, "--build", first.build_id, "--output", str(output), "--most", "1")
    done = await asyncio.to_thread(stage.conduit.good, *command, "--yes", "--json")
    assert done.json["calls"] > 1
    assert done.json["outcomes"] == {"same": done.json["calls"]}
    assert await queues_called(client, f"conduit/backfill/{stage.algorithm}") == {batch_of(stage.algorithm)}


async def one_with_a_batch_queue(stage: Stage, client: Client) -> str:
    """The live build, which takes batch calls; one is released if it does not."""
    current, batch = await live(stage, client)
    if current is not None and current == batch:
        return current
    return (await stage.release(client, await build(stage, "first", settings=OFFLINE_FIRST))).build_id


async def test_batch_calls_are_put_back_too_and_stay_with_the_last_build_that_takes_them(
    stage: Stage,
) -> None:
    client = await stage.client()
    first = await one_with_a_batch_queue(stage, client)

    # A release that was cut off there: the next one takes batch calls from the build that nobody has judged.
    cut_off = await build(stage, "cut off", settings=OFFLINE_FIRST)
    command = ("deliver", "--project", str(stage.repo.folder))
    await asyncio.to_thread(killed_at, stage.conduit.start(*command), "judge offline")
    assert await live(stage, client) == (first, cut_off.build_id)
    second = await build(stage, "second", settings=OFFLINE_FIRST)
    steps: list[str] = []
    await stage.release(client, second, steps)
    assert "tidy ok" in steps
    assert await live(stage, client) == (second.build_id, second.build_id)
    assert cut_off.build_id not in await asyncio.to_thread(stage.conduit.alive, stage.algorithm)

    # A roll-back takes both back.
    rolled = await asyncio.to_thread(
        stage.conduit.good, "rollback", stage.algorithm, "--reason", "wrong", "--json"
    )
    assert (rolled.json["build_id"], rolled.json["batch"]) == (first, first)
    assert await live(stage, client) == (first, first)

    # Switched off: the last build that takes batch calls keeps them, and is kept.
    third = await build(stage, "third")
    await stage.release(client, third)
    assert await live(stage, client) == (third.build_id, first)
    told = await asyncio.to_thread(stage.conduit.good, "status", stage.algorithm)
    assert f"batch calls, on {batch_of(stage.algorithm)}: {first}" in told.out
    named = await asyncio.to_thread(stage.conduit.good, "status", "--json")
    assert batch_of(stage.algorithm) not in named.out
    async with production(client, stage.algorithm) as callers:
        await eventually(lambda: answered(callers.batch), within=60)
        await callers.finish()
        assert set(await callers.batch.builds()) == {first}
    await asyncio.to_thread(give_up_batch_queue, stage)
    assert await live(stage, client) == (third.build_id, None)
    told = await asyncio.to_thread(stage.conduit.good, "status", stage.algorithm)
    assert "batch calls, on" not in told.out


def give_up_batch_queue(stage: Stage) -> None:
    """As the documentation says."""
    page = (Path(__file__).parents[3] / "docs" / "releases.md").read_text()
    [command] = [line for line in page.splitlines() if line.startswith("temporal worker deployment")]
    words = command.replace("speaker-id", stage.algorithm).split()
    subprocess.run(
        [str(temporal_binary()), *words[1:], "--address", stage.server.address],
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )


async def answered(load: Load) -> bool:
    return await load.answers() >= WORKFLOWS
