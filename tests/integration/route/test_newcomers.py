"""Workers that take calls before they are first heard."""

import uuid

from temporalio.client import Client

from pipeline.deployments import Deployments
from tests.parts.versions import bare_worker
from tests.parts.waiting import eventually


async def test_a_worker_counts_from_its_first_poll_to_its_end(temporal_client: Client) -> None:
    deployments, name = Deployments(temporal_client), f"newcomers-{uuid.uuid4().hex[:8]}"
    worker = bare_worker(temporal_client, name, "b1", identity="the one")  # it heartbeats once a minute
    assert await deployments.newcomers(name, "b1") == ()
    async with worker:
        assert await eventually(lambda: deployments.newcomers(name, "b1")) == ("the one",)
        assert await deployments.newcomers(name, "b2") == ()
        assert await deployments.workers(name) == ()

    async def is_gone() -> bool:
        return await deployments.newcomers(name, "b1") == ()

    await eventually(is_gone, within=5)
