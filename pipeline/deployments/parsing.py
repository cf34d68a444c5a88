"""From the server's own messages to our models. Pure."""

from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.deployment.v1 import RoutingConfig, WorkerDeploymentInfo, WorkerDeploymentVersionInfo
from temporalio.api.enums.v1 import (
    RoutingConfigUpdateState,
    TaskQueueType,
    WorkerDeploymentVersionStatus,
    WorkerStatus,
)
from temporalio.api.worker.v1 import WorkerHeartbeat

from pipeline.deployments.models import Deployment, Status, Version, VersionDetails, Worker


def deployment(info: WorkerDeploymentInfo, token: bytes) -> Deployment:
    """A deployment, with the token that came with it."""
    routing: RoutingConfig = info.routing_config
    pending = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS
    return Deployment(
        name=info.name,
        conflict_token=token,
        current=routing.current_deployment_version.build_id or None,
        current_since=_time(routing, "current_version_changed_time"),
        ramping=routing.ramping_deployment_version.build_id or None,
        ramp_percentage=routing.ramping_version_percentage,
        ramping_since=_time(routing, "ramping_version_changed_time"),
        propagated=info.routing_config_update_state != pending,
        manager=info.manager_identity,
        last_modifier=info.last_modifier_identity,
        versions=tuple(_summary(summary) for summary in info.version_summaries),
    )


def details(info: WorkerDeploymentVersionInfo) -> VersionDetails:
    """A version's own description."""
    activity = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    return VersionDetails(
        build_id=info.deployment_version.build_id,
        activity_queues=tuple(queue.name for queue in info.task_queue_infos if queue.type == activity),
        metadata={key: payload.data for key, payload in info.metadata.entries.items()},
        last_modifier=info.last_modifier_identity,
    )


def worker(beat: WorkerHeartbeat) -> Worker:
    """A worker by its heartbeat."""
    slots = beat.activity_task_slots_info
    return Worker(
        key=beat.worker_instance_key,
        identity=beat.worker_identity,
        build_id=beat.deployment_version.build_id,
        task_queue=beat.task_queue,
        running=beat.status == WorkerStatus.WORKER_STATUS_RUNNING,
        heartbeat=beat.heartbeat_time.ToDatetime(UTC),
        used_slots=slots.current_used_slots,
        processed=slots.total_processed_tasks,
        failed=slots.total_failed_tasks,
        slots=slots.current_used_slots + slots.current_available_slots,
    )


def _summary(summary: WorkerDeploymentInfo.WorkerDeploymentVersionSummary) -> Version:
    return Version(
        build_id=summary.deployment_version.build_id,
        status=_status(summary.status),
        created=_time(summary, "create_time"),
        first_active=_time(summary, "first_activation_time"),
        current_since=_time(summary, "current_since_time"),
        last_current=_time(summary, "last_current_time"),
        deactivated=_time(summary, "last_deactivation_time"),
    )


def _status(value: WorkerDeploymentVersionStatus.ValueType) -> Status:
    name = WorkerDeploymentVersionStatus.Name(value).removeprefix("WORKER_DEPLOYMENT_VERSION_STATUS_")
    return Status.__members__.get(name, Status.UNKNOWN)


def _time(message: Message, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(UTC)
