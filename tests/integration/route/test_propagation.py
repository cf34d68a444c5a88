"""How soon task queues know where calls go, by their own word."""

import uuid
from datetime import timedelta

from temporalio.client import Client

from pipeline.deployments import Deployment, Deployments
from tests.parts.versions import bare_worker
from tests.parts.waiting import eventually

SOON = timedelta(seconds=20)


async def test_routing_has_propagated_once_the_queue_itself_knows_it(temporal_client: Client) -> None:
    deployments, name = Deployments(temporal_client), f"propagation-{uuid.uuid4().hex[:8]}"

    async def seen() -> Deployment:
        found = await deployments.describe(name)
        assert found is not None
        return found

    async def is_ramping() -> bool:
        return await deployments.routed(name) == {"b1", "b2"}

    async with bare_worker(temporal_client, name, "b1"), bare_worker(temporal_client, name, "b2"):
        await eventually(lambda: deployments.is_registered(name, "b1", name))
        await eventually(lambda: deployments.is_registered(name, "b2", name))
        assert await deployments.routed(name) == set()
        await deployments.set_current(await seen(), "b1")
        await deployments.wait_propagated(name, "b1", SOON)
        assert await deployments.routed(name) == {"b1"}
        await deployments.set_ramp(await seen(), "b2", 20)
        await eventually(is_ramping)
        assert not await deployments.queues_know(name, "b1")
        await deployments.clear_ramp(await seen())
        await deployments.set_current(await seen(), "b2")
        await deployments.wait_propagated(name, "b2", SOON)
        assert await deployments.routed(name) == {"b2"}
