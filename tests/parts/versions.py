"""Routing by Temporal's bare requests, for tests of parts that stand below the toolkit's own client."""

from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentVersionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from tests.parts.waiting import eventually


async def make_current(client: Client, deployment: str, build_id: str) -> None:
    """Wait until a worker has registered the version, and make it Current."""

    async def registered() -> bool:
        return await is_registered(client, deployment, build_id)

    await eventually(registered)
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=deployment, build_id=build_id, identity="test"
    )
    await client.workflow_service.set_worker_deployment_current_version(request)


async def is_registered(client: Client, deployment: str, build_id: str) -> bool:
    """Whether the server knows the version."""
    request = DescribeWorkerDeploymentVersionRequest(namespace=client.namespace)
    request.deployment_version.deployment_name = deployment
    request.deployment_version.build_id = build_id
    try:
        await client.workflow_service.describe_worker_deployment_version(request)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
