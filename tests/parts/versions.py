"""Routing by Temporal's bare requests, for tests of parts that stand below the toolkit's own client."""

import contextlib

from temporalio import activity
from temporalio.api.enums.v1 import RoutingConfigUpdateState, TaskQueueType
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker, WorkerDeploymentConfig

from tests.parts.waiting import eventually

IN_PROGRESS = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS
ATTEMPTS = 4
"""A loaded server may leave a first Current in progress, and its calls waiting; set again, it ends."""


@activity.defn
async def nothing() -> None:
    """An activity, for a queue of activities to be."""


def bare_worker(client: Client, name: str, build_id: str, *, identity: str | None = None) -> Worker:
    """A worker of a version, on the queue of its deployment's name, that is no host of ours."""
    return Worker(
        client,
        task_queue=name,
        activities=[nothing],
        identity=identity,
        deployment_config=WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(name, build_id),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        ),
    )


async def make_current(client: Client, deployment: str, build_id: str) -> None:
    """Wait until a worker has registered the version, and make it Current."""

    async def registered() -> bool:
        return await is_registered(client, deployment, build_id)

    async def propagated() -> bool:
        asked = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment)
        try:
            seen = await client.workflow_service.describe_worker_deployment(asked)
        except RPCError as error:
            if error.status == RPCStatusCode.RESOURCE_EXHAUSTED:
                return False  # asked too often for a deployment that is busy with a change
            raise
        return seen.worker_deployment_info.routing_config_update_state != IN_PROGRESS

    await eventually(registered)
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace,
        deployment_name=deployment,
        build_id=build_id,
        identity="test",
        ignore_missing_task_queues=True,  # of workflows, which are registered apart
    )
    for _ in range(ATTEMPTS):
        await client.workflow_service.set_worker_deployment_current_version(request)
        with contextlib.suppress(TimeoutError):
            await eventually(propagated, within=10)
            return


async def is_registered(client: Client, deployment: str, build_id: str) -> bool:
    """Whether the server knows the version, and that its workers take activities."""
    request = DescribeWorkerDeploymentVersionRequest(namespace=client.namespace)
    request.deployment_version.deployment_name = deployment
    request.deployment_version.build_id = build_id
    try:
        seen = await client.workflow_service.describe_worker_deployment_version(request)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    return any(
        queue.type == TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
        for queue in seen.worker_deployment_version_info.task_queue_infos
    )
