"""Workers that take calls before they are first heard."""

import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig

from pipeline.deployments import Deployments
from pipeline.errors import NoLiveWorker
from pipeline.rollout import activities
from pipeline.rollout.activities import Activities
from pipeline.rollout.messages import Route, workflow_id
from pipeline.runtimes import LocalWorker, RuntimeOptions
from pipeline.runtimes.process import ProcessRuntime
from tests.parts.temporal import DevServer
from tests.parts.versions import bare_worker
from tests.parts.waiting import eventually

BUILD = "0123456789ab-000000"


@pytest.fixture
async def unheard(temporal_server: DevServer) -> Client:
    """A client whose workers never heartbeat."""
    silent = Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=None)
    return await Client.connect(temporal_server.address, runtime=silent)


async def test_a_worker_counts_from_its_first_poll_to_its_end(temporal_client: Client) -> None:
    deployments, name = Deployments(temporal_client), f"newcomers-{uuid.uuid4().hex[:8]}"
    worker = bare_worker(temporal_client, name, "b1", identity="the one")  # it heartbeats once a minute
    assert await deployments.newcomers(name, "b1", name) == ()
    async with worker:
        assert await eventually(lambda: deployments.newcomers(name, "b1", name)) == ("the one",)
        assert await deployments.newcomers(name, "b2", name) == ()
        assert await deployments.workers(name) == ()

    async def is_gone() -> bool:
        return await deployments.newcomers(name, "b1", name) == ()

    await eventually(is_gone, within=5)


class WithOneThatDied(ProcessRuntime):
    """A machine on which a worker of the build ended before it was heard."""

    def workers(self, algorithm: str) -> tuple[LocalWorker, ...]:
        return (LocalWorker(build_id=BUILD, replica=1, handle="pid 1", alive=False),)


@pytest.mark.parametrize("kind", [ProcessRuntime, WithOneThatDied])
async def test_calls_are_routed_to_a_worker_that_was_not_heard_yet_unless_one_died(
    unheard: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[ProcessRuntime]
) -> None:
    monkeypatch.setattr(activities, "HEARD", timedelta(seconds=1))
    deployments, name = Deployments(unheard), f"newcomers-{uuid.uuid4().hex[:8]}"
    steps = Activities(unheard, deployments, kind(RuntimeOptions(home=tmp_path, connection={})))
    await unheard.start_workflow("Release", id=workflow_id(name), task_queue=f"nobody-{name}")
    route = Route(algorithm=name, build_id=BUILD, expected=(None,))
    async with bare_worker(unheard, name, BUILD):
        await eventually(lambda: deployments.is_registered(name, BUILD, name))
        if kind is WithOneThatDied:
            with pytest.raises(NoLiveWorker):
                await steps.route(route)
        else:
            await steps.route(route)
    seen = await deployments.describe(name)
    assert seen is not None
    assert seen.current == (None if kind is WithOneThatDied else BUILD)
