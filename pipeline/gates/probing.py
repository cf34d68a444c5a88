"""Calling one build alone, whatever the routing: through the workflow that its worker host registers."""

import asyncio
import contextlib
import time
import uuid
from datetime import timedelta

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import PinnedVersioningOverride, WorkerDeploymentVersion
from temporalio.service import RPCError

from pipeline.deployments import polls
from pipeline.models import Build, Value
from pipeline.worker.probe import WORKFLOW_ID, Probe, ProbeAnswer, ProbeRequest

TO_APPEAR = timedelta(seconds=10)
NOT_THERE = "is not present in task queue"

Handle = WorkflowHandle[Probe, ProbeAnswer]


class Target(Value):
    """A build by its version and the queue that its workers serve."""

    deployment: str
    build_id: str
    task_queue: str


def of_build(build: Build) -> Target:
    """The target that a build record describes."""
    return Target(deployment=build.algorithm, build_id=build.build_id, task_queue=build.host.task_queue)


async def probe(
    client: Client, target: Target, request: ProbeRequest, limit: timedelta
) -> ProbeAnswer | None:
    """Have one worker of the build do what is asked; None where it did not within the limit.

    A build whose workers are of a host without that workflow never does.
    """
    handle = await _started(client, target, request, limit)
    if handle is None:
        return None
    try:
        return await handle.result()
    except WorkflowFailureError:
        return None
    except asyncio.CancelledError:
        with contextlib.suppress(RPCError):
            await handle.terminate("nobody waits for it any more")
        raise


async def _started(client: Client, target: Target, request: ProbeRequest, limit: timedelta) -> Handle | None:
    workflow_id = f"{WORKFLOW_ID}{target.deployment}/{target.build_id}/{uuid.uuid4()}"
    deadline = time.monotonic() + TO_APPEAR.total_seconds()
    async for _ in polls():
        try:
            return await client.start_workflow(
                Probe.run,
                request,
                id=workflow_id,
                task_queue=target.task_queue,
                execution_timeout=limit,
                versioning_override=PinnedVersioningOverride(
                    WorkerDeploymentVersion(target.deployment, target.build_id)
                ),
                static_summary=f"{target.deployment}: calls of build {target.build_id} alone",
            )
        except RPCError as error:
            # Workers appear with their queue of activities and that of workflows one after the other.
            if NOT_THERE not in error.message:
                raise
        if time.monotonic() > deadline:
            break
    return None
