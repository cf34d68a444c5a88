"""Workers that take calls before they are first heard."""

import uuid

from temporalio import activity
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from pipeline.deployments import Deployments
from tests.parts.waiting import eventually


@activity.defn
async def nothing() -> None:
    return None


async def test_a_worker_counts_from_its_first_poll_to_its_end(temporal_client: Client) -> None:
    deployments, name = Deployments(temporal_client), f"newcomers-{uuid.uuid4().hex[:8]}"
    version = WorkerDeploymentVersion(name, "b1")
    worker = Worker(  # it heartbeats once a minute
        temporal_client,
        task_queue=name,
        activities=[nothing],
        identity="the one",
        deployment_config=WorkerDeploymentConfig(
            version=version,
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        ),
    )
    assert await deployments.newcomers(name, "b1") == ()
    async with worker:
        assert await eventually(lambda: deployments.newcomers(name, "b1")) == ("the one",)
        assert await deployments.newcomers(name, "b2") == ()
        assert await deployments.workers(name) == ()

    async def is_gone() -> bool:
        return await deployments.newcomers(name, "b1") == ()

    await eventually(is_gone, within=5)
