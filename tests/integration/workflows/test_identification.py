import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkerDeploymentVersion
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker, WorkerDeploymentConfig

from tests.integration.workflows.algorithm import ANNA, NOBODY, SPEAKERS, knowing, live, unused_queue
from tests.integration.workflows.recording import Keep
from tests.parts.waiting import eventually
from workflows.identification import SpeakerIdentificationWorkflow
from workflows.models import AudioClip, IdentificationRequest, SpeakerID

Handle = WorkflowHandle[SpeakerIdentificationWorkflow, SpeakerID]


async def start(client: Client, engineers: str, clip: AudioClip, algorithm: str) -> Handle:
    return await client.start_workflow(
        SpeakerIdentificationWorkflow.run,
        IdentificationRequest(clip=clip, task_queue=algorithm),
        id=f"identify-{algorithm}",
        task_queue=engineers,
    )


async def test_the_speaker_of_a_clip_is_identified(
    temporal_client: Client, engineers: str, keep: Keep
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        call = await start(temporal_client, engineers, ANNA, algorithm)

        assert await call.result() == SpeakerID(speaker="anna", confidence=0.9)
        await keep(call, "identification-completed")


async def test_a_call_that_fails_is_tried_again(temporal_client: Client, engineers: str, keep: Keep) -> None:
    async with live(temporal_client, knowing(SPEAKERS, bad_attempts=1)) as algorithm:
        call = await start(temporal_client, engineers, ANNA, algorithm)

        assert (await call.result()).speaker == "anna"
        assert await attempts(call) == [2]
        await keep(call, "identification-retried")


async def test_a_clip_that_the_algorithm_refuses_fails_at_once(
    temporal_client: Client, engineers: str, keep: Keep
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        call = await start(temporal_client, engineers, NOBODY, algorithm)

        with pytest.raises(WorkflowFailureError) as failure:
            await call.result()
        assert isinstance(failure.value.cause, ActivityError)
        assert isinstance(failure.value.cause.cause, ApplicationError)
        assert failure.value.cause.cause.type == "UnusableAudio"
        await keep(call, "identification-refused")


async def test_a_call_made_before_there_is_a_build_waits_for_the_first_that_is_promoted(
    temporal_client: Client, engineers: str, keep: Keep
) -> None:
    algorithm = unused_queue()
    call = await start(temporal_client, engineers, ANNA, algorithm)
    assert await waits(call)

    async with build(temporal_client, algorithm):
        await eventually(lambda: registered(temporal_client, algorithm))
        assert await waits(call)
        await promote(temporal_client, algorithm)

        assert (await call.result()).speaker == "anna"
    assert await attempts(call) == [1]
    await keep(call, "identification-waited-for-a-build")


async def test_the_call_names_the_clips_size_in_temporals_pages(
    temporal_client: Client, engineers: str
) -> None:
    async with live(temporal_client, knowing(SPEAKERS)) as algorithm:
        call = await start(temporal_client, engineers, ANNA, algorithm)
        await call.result()

    scheduled = [
        event
        for event in (await call.fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert [event.user_metadata.summary.data for event in scheduled] == [b'"364 bytes of WAV"']


async def attempts(call: Handle) -> list[int]:
    """The number of the last attempt of each call."""
    return [
        event.activity_task_started_event_attributes.attempt
        for event in (await call.fetch_history()).events
        if event.HasField("activity_task_started_event_attributes")
    ]


async def waits(call: Handle) -> bool:
    """Whether the call's first attempt is with the server, and no worker has it."""

    async def pending() -> PendingActivityInfo | None:
        activities = (await call.describe()).raw_description.pending_activities
        return activities[0] if activities else None

    found = await eventually(pending)
    scheduled = found.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    return scheduled and found.attempt == 1 and not found.HasField("last_failure")


BUILD = "first"


def build(client: Client, algorithm: str) -> Worker:
    """A worker of the deployment's only build."""
    version = WorkerDeploymentVersion(deployment_name=algorithm, build_id=BUILD)
    return Worker(
        client,
        task_queue=algorithm,
        activities=[knowing(SPEAKERS)],
        deployment_config=WorkerDeploymentConfig(version=version, use_worker_versioning=True),
    )


async def registered(client: Client, algorithm: str) -> bool:
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=algorithm)
    try:
        answer = await client.workflow_service.describe_worker_deployment(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return bool(answer.worker_deployment_info.version_summaries)


async def promote(client: Client, algorithm: str) -> None:
    await client.workflow_service.set_worker_deployment_current_version(
        SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace, deployment_name=algorithm, build_id=BUILD
        )
    )
