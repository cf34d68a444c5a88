"""How soon task queues know where calls go, by their own word."""

import uuid
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from pipeline.deployments import Deployment, Deployments, knows
from tests.parts.versions import bare_worker
from tests.parts.waiting import eventually

SOON = timedelta(seconds=20)


async def queue_knows(client: Client, name: str, build_id: str) -> bool:
    asked = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=name),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    return knows((await client.workflow_service.describe_task_queue(asked)).versioning_info, build_id)


async def knows_otherwise(client: Client, name: str) -> bool:
    """A ramp is not all calls to Current."""
    return not await queue_knows(client, name, "b1")


async def test_routing_has_propagated_once_the_queue_itself_knows_it(temporal_client: Client) -> None:
    deployments, name = Deployments(temporal_client), f"propagation-{uuid.uuid4().hex[:8]}"

    async def seen() -> Deployment:
        found = await deployments.describe(name)
        assert found is not None
        return found

    async with bare_worker(temporal_client, name, "b1"), bare_worker(temporal_client, name, "b2"):
        await eventually(lambda: deployments.is_registered(name, "b1", name))
        await eventually(lambda: deployments.is_registered(name, "b2", name))
        assert not await queue_knows(temporal_client, name, "b1")
        await deployments.set_current(await seen(), "b1")
        await deployments.wait_propagated(name, "b1", SOON)
        assert await queue_knows(temporal_client, name, "b1")
        await deployments.set_ramp(await seen(), "b2", 20)
        await eventually(lambda: knows_otherwise(temporal_client, name))
        await deployments.clear_ramp(await seen())
        await deployments.set_current(await seen(), "b2")
        await deployments.wait_propagated(name, "b2", SOON)
        assert await queue_knows(temporal_client, name, "b2")
        assert not await queue_knows(temporal_client, name, "b1")
