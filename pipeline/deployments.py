"""A typed client for Temporal's Worker Deployments and for the heartbeats of their workers.

The Python SDK has the calls and no client for them. This module has nothing of the conduit's in it but
its errors: models in and out, conflict tokens, waiting with deadlines, and the server's peculiarities.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ConfigDict
from temporalio.api.common.v1 import Payload
from temporalio.api.deployment.v1 import (
    RoutingConfig,
    WorkerDeploymentInfo,
    WorkerDeploymentVersion,
    WorkerDeploymentVersionInfo,
)
from temporalio.api.enums.v1 import (
    RoutingConfigUpdateState,
    TaskQueueType,
    WorkerDeploymentVersionStatus,
    WorkerStatus,
)
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueVersioningInfo
from temporalio.api.worker.v1 import WorkerHeartbeat, WorkerListInfo
from temporalio.api.workflowservice.v1 import (
    DeleteWorkerDeploymentVersionRequest,
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
    DescribeWorkerRequest,
    ListWorkerDeploymentsRequest,
    ListWorkersRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
    UpdateWorkerDeploymentVersionMetadataRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from pipeline.errors import (
    ConduitError,
    PropagationStuck,
    RoutingChanged,
    TemporalRefused,
    TemporalUnreachable,
)

RPC_TIMEOUT = timedelta(seconds=10)
UNANSWERED = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
UNCLEAR = (RPCStatusCode.UNKNOWN, RPCStatusCode.INTERNAL)
BROKEN_CONNECTION = ("transport error", "h2 protocol error", "error reading a body from connection")
FRESH = timedelta(seconds=10)
"""A heartbeat older than this by our clock is watched for a while before its worker is called dead."""
PAGE = 100
QUEUES_FIRST = 4
"""How often task queues are asked whether they know a change before the deployment is asked too."""

T = TypeVar("T")


class Status(StrEnum):
    """Temporal's own words for a version."""

    INACTIVE = "Inactive"
    CURRENT = "Current"
    RAMPING = "Ramping"
    DRAINING = "Draining"
    DRAINED = "Drained"
    UNKNOWN = "Unknown"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Version(_Frozen):
    """One version of a deployment, as the deployment's description summarises it."""

    build_id: str
    status: Status
    created: datetime | None
    first_active: datetime | None
    current_since: datetime | None
    last_current: datetime | None
    deactivated: datetime | None

    @property
    def was_current(self) -> bool:
        """Whether all calls were once routed to it."""
        return self.last_current is not None or self.current_since is not None


class Deployment(_Frozen):
    """A deployment's routing at one moment, with the token that a change of it must show."""

    name: str
    conflict_token: bytes
    current: str | None
    current_since: datetime | None
    ramping: str | None
    ramp_percentage: float
    ramping_since: datetime | None
    propagated: bool
    manager: str
    last_modifier: str
    versions: tuple[Version, ...]

    def version(self, build_id: str | None) -> Version | None:
        """The version of that build ID."""
        return next((v for v in self.versions if v.build_id == build_id), None)


class VersionDetails(_Frozen):
    """What only a version's own description tells."""

    build_id: str
    activity_queues: tuple[str, ...]
    metadata: Mapping[str, bytes]
    last_modifier: str


class Worker(_Frozen):
    """A worker by its latest heartbeat. The counters start again with each process."""

    key: str
    identity: str
    build_id: str
    task_queue: str
    running: bool
    heartbeat: datetime
    used_slots: int
    processed: int
    failed: int
    slots: int = 0
    """Calls that it runs at once."""


class Deployments:
    """Worker Deployments of one namespace.

    Every method may raise TemporalUnreachable, and TemporalRefused with the server's reason.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._service = client.workflow_service
        self._namespace = client.namespace

    async def describe(self, name: str) -> Deployment | None:
        """Read a deployment's routing and versions; None if the server knows no deployment of that name."""
        request = DescribeWorkerDeploymentRequest(namespace=self._namespace, deployment_name=name)
        answer = await _found(self._service.describe_worker_deployment, request)
        return None if answer is None else _deployment(answer.worker_deployment_info, answer.conflict_token)

    async def details(self, name: str, build_id: str) -> VersionDetails | None:
        """Read one version's queues and metadata; None if the server does not list it."""
        request = DescribeWorkerDeploymentVersionRequest(
            namespace=self._namespace, deployment_version=_version(name, build_id)
        )
        answer = await _found(self._service.describe_worker_deployment_version, request)
        return None if answer is None else _details(answer.worker_deployment_version_info)

    async def names(self) -> tuple[str, ...]:
        """The names of all deployments of the namespace."""
        found: list[str] = []
        token = b""
        while True:
            request = ListWorkerDeploymentsRequest(
                namespace=self._namespace, page_size=PAGE, next_page_token=token
            )
            answer = await _answer(self._service.list_worker_deployments, request)
            found += [summary.name for summary in answer.worker_deployments]
            token = answer.next_page_token
            if not token:
                return tuple(sorted(found))

    async def is_registered(self, name: str, build_id: str, task_queue: str) -> bool:
        """Whether the version is listed and its workers take activities of that queue."""
        details = await self.details(name, build_id)
        return details is not None and task_queue in details.activity_queues

    async def set_current(self, seen: Deployment, build_id: str) -> None:
        """Route all calls to a version, provided that the routing still is as it was `seen`.

        Its workers take activities, as `is_registered` says. That they take workflows too, as those of Current do, is
        registered apart, sometimes later, and by workers of an older host never: the server need not wait for it.

        Raises:
            RoutingChanged: somebody else was faster; read the deployment again.
        """
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self._namespace,
            deployment_name=seen.name,
            build_id=build_id,
            conflict_token=seen.conflict_token,
            identity=self._client.identity,
            ignore_missing_task_queues=True,
        )
        await _answer(self._service.set_worker_deployment_current_version, request)

    async def set_ramp(self, seen: Deployment, build_id: str, percent: float) -> None:
        """Route a share of the workflow IDs to a version, provided that the routing still is as it was `seen`.

        Raises:
            RoutingChanged: somebody else was faster; read the deployment again.
        """
        request = SetWorkerDeploymentRampingVersionRequest(
            namespace=self._namespace,
            deployment_name=seen.name,
            build_id=build_id,
            percentage=percent,
            conflict_token=seen.conflict_token,
            identity=self._client.identity,
            ignore_missing_task_queues=True,
        )
        await _answer(self._service.set_worker_deployment_ramping_version, request)

    async def clear_ramp(self, seen: Deployment) -> None:
        """Let no version be Ramping: an empty build ID does it, a ramp of 0 % would keep the version Ramping.

        Raises:
            RoutingChanged: somebody else was faster; read the deployment again.
        """
        await self.set_ramp(seen, "", 0)

    async def wait_propagated(
        self, name: str, build_id: str, deadline: timedelta = timedelta(seconds=60)
    ) -> None:
        """Wait until all task queues know that a version is Current, and that none is Ramping.

        The queues are asked themselves: they know it a second before the server calls the change propagated, and
        also where the server leaves it in progress for minutes. The deployment may take that second to answer.

        Raises:
            PropagationStuck: they did not within the deadline.
        """
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                async for tries in polls(most=0.25):
                    if await self.queues_know(name, build_id):
                        return
                    if tries >= QUEUES_FIRST and await self._is_propagated(name):
                        return
        except TimeoutError:
            raise PropagationStuck(
                f"The routing of {name} was changed, but after {deadline.total_seconds():.0f} seconds "
                "some task queues do not know it.",
                why="The server still reports the change as in progress.",
                now=f"Look at `conduit status {name}`; new calls may reach either build until it is done.",
            ) from None

    async def queues_know(self, name: str, build_id: str) -> bool:
        """Whether all task queues know that a version is Current, and that none is Ramping."""
        details = await self.details(name, build_id)
        names = details.activity_queues if details else ()
        queues = await asyncio.gather(*(self._activity_queue(name) for name in names))
        return bool(queues) and all(_told(queue.versioning_info) == (build_id, "") for queue in queues)

    async def routed(self, task_queue: str) -> frozenset[str]:
        """The builds that a task queue sends new calls to; at once, where the deployment takes a second to answer."""
        queue = await self._activity_queue(task_queue)
        return frozenset(filter(None, _told(queue.versioning_info)))

    async def _is_propagated(self, name: str) -> bool:
        seen = await self.describe(name)
        return seen is None or seen.propagated

    async def write_metadata(
        self, name: str, build_id: str, entries: Mapping[str, bytes], remove: Iterable[str] = ()
    ) -> None:
        """Write entries (each at most 1 MB, JSON) of a version's metadata, and remove others.

        The server allows few writes in a short time for each deployment. Those it puts off are tried again.
        """
        request = UpdateWorkerDeploymentVersionMetadataRequest(
            namespace=self._namespace,
            deployment_version=_version(name, build_id),
            upsert_entries={
                key: Payload(metadata={"encoding": b"json/plain"}, data=value)
                for key, value in entries.items()
            },
            remove_entries=remove,
            identity=self._client.identity,
        )
        await _answer(self._service.update_worker_deployment_version_metadata, request)

    async def delete_version(self, name: str, build_id: str) -> None:
        """Delete a version; the server refuses while it drains, or pollers were seen in the last five minutes."""
        request = DeleteWorkerDeploymentVersionRequest(
            namespace=self._namespace,
            deployment_version=_version(name, build_id),
            identity=self._client.identity,
        )
        await _answer(self._service.delete_worker_deployment_version, request)

    async def workers(self, name: str) -> tuple[Worker, ...]:
        """All workers of a deployment that the server has heard of, dead ones too."""
        return await self._heartbeats(_of_deployment(name))

    async def workers_on(self, task_queue: str) -> tuple[Worker, ...]:
        """All workers of a task queue that the server has heard of, dead ones too."""
        return await self._heartbeats(f'TaskQueue="{_quotable(task_queue)}"')

    async def newcomers(self, name: str, build_id: str) -> tuple[str, ...]:
        """The identities of a version's workers that poll, and whose first heartbeat is still to come.

        The server lists a poller for five minutes after its end. One counts here only while it is fresh, and
        as long as no heartbeat tells of that worker: what the heartbeat says is newer.
        """
        details = await self.details(name, build_id)
        queues = details.activity_queues if details else ()
        answers = await asyncio.gather(*(self._activity_queue(queue) for queue in queues))
        now = datetime.now(UTC)
        polling = {
            poller.identity
            for answer in answers
            for poller in answer.pollers
            if (poller.deployment_options.deployment_name, poller.deployment_options.build_id)
            == (name, build_id)
            and abs(now - poller.last_access_time.ToDatetime(UTC)) < FRESH
        }
        heard = {info.worker_identity async for info in self._listed(_of_deployment(name))} if polling else ()
        return tuple(sorted(polling.difference(heard)))

    async def _activity_queue(self, task_queue: str) -> DescribeTaskQueueResponse:
        request = DescribeTaskQueueRequest(
            namespace=self._namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        return await _answer(self._service.describe_task_queue, request)

    async def _heartbeats(self, query: str) -> tuple[Worker, ...]:
        running = WorkerStatus.WORKER_STATUS_RUNNING
        keys = [info.worker_instance_key async for info in self._listed(query) if info.status == running]
        requests = [DescribeWorkerRequest(namespace=self._namespace, worker_instance_key=key) for key in keys]
        answers = await asyncio.gather(
            *(_found(self._service.describe_worker, request) for request in requests)
        )
        return tuple(_worker(answer.worker_info.worker_heartbeat) for answer in answers if answer is not None)

    async def _listed(self, query: str) -> AsyncIterator[WorkerListInfo]:
        token = b""
        while True:
            request = ListWorkersRequest(
                namespace=self._namespace, page_size=PAGE, next_page_token=token, query=query
            )
            answer = await _answer(self._service.list_workers, request)
            for info in answer.workers:
                yield info
            token = answer.next_page_token
            if not token:
                return

    async def live(self, read: Callable[[], Awaitable[Iterable[Worker]]]) -> tuple[Worker, ...]:
        """Those workers that live: a killed one keeps saying `running`, with a heartbeat that ages.

        Where a heartbeat looks old, the worker's clock may differ from ours: it is read again for a while, and
        a worker whose heartbeat moved is alive.

        Args:
            read: reads the workers in question, such as `lambda: deployments.workers("speaker-id")`.
        """
        workers = {worker.key: worker for worker in await read()}
        now = datetime.now(UTC)
        doubtful = {key for key, worker in workers.items() if abs(now - worker.heartbeat) > FRESH}
        if doubtful:
            await asyncio.sleep(2.5)  # two heartbeats of the conduit's workers
            later = {worker.key: worker for worker in await read()}
            doubtful -= {k for k in doubtful if k in later and later[k].heartbeat > workers[k].heartbeat}
        return tuple(worker for key, worker in workers.items() if key not in doubtful)


def _told(queue: TaskQueueVersioningInfo) -> tuple[str, str]:
    return queue.current_deployment_version.build_id, queue.ramping_deployment_version.build_id


async def polls(first: float = 0.05, most: float = 1.0) -> AsyncIterator[int]:
    """Count up with growing pauses (seconds); for what the server offers no event to wait for."""
    pause = first
    count = 0
    while True:
        yield count
        count += 1
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, most)


async def _answer(call: Callable[..., Awaitable[T]], request: Message) -> T:
    """Ask the server; try again what it puts off, as it does where much is asked of one deployment."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception(_is_rate_limit),
        stop=stop_after_delay(60),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        reraise=True,
    ):
        with attempt:
            try:
                return await call(request, timeout=RPC_TIMEOUT)
            except RPCError as error:
                raise explain(error) from error
    raise AssertionError("the last attempt raises")


async def _found(call: Callable[..., Awaitable[T]], request: Message) -> T | None:
    try:
        return await _answer(call, request)
    except TemporalRefused as error:
        cause = error.__cause__
        if isinstance(cause, RPCError) and is_absent(cause):
            return None
        raise


def is_absent(error: RPCError) -> bool:
    """Whether the server has no such thing, in a namespace that it has."""
    return error.status == RPCStatusCode.NOT_FOUND and not _lacks_namespace(error)


def _lacks_namespace(error: RPCError) -> bool:
    missing = NamespaceNotFoundFailure.DESCRIPTOR
    return any(detail.Is(missing) for detail in error.grpc_status.details)


def explain(error: RPCError) -> ConduitError:
    """The error of ours that says what a refused or unanswered request means."""
    message = error.message
    if _is_unanswered(error):
        return TemporalUnreachable(
            "Temporal does not answer any more.",
            why=message,
            now="Run the command again once the server is back.",
        )
    if "conflict token mismatch" in message.lower():
        return RoutingChanged(
            "The routing was changed by somebody else at the same moment.",
            why=message,
            now="Look at `conduit status` and run the command again.",
        )
    if _lacks_namespace(error):
        return TemporalRefused(
            "Temporal does not have the namespace.",
            why=message,
            now="Set TEMPORAL_NAMESPACE to one that it has, or create it.",
        )
    return TemporalRefused("Temporal refused the request.", why=message, now=_advice(error))


def _is_unanswered(error: RPCError) -> bool:
    # The client has no status of its own for a connection that breaks in the middle of a request.
    is_broken = any(words in error.message.lower() for words in BROKEN_CONNECTION)
    return error.status in UNANSWERED or (error.status in UNCLEAR and is_broken)


def _advice(error: RPCError) -> str:
    if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        return "Use a credential that may change Worker Deployments in this namespace."
    if error.status == RPCStatusCode.UNIMPLEMENTED:
        return "Use a newer Temporal server; 1.32 has all that is needed."
    return "Look at the reason above; `conduit status` shows the routing."


def _is_rate_limit(error: BaseException) -> bool:
    if not isinstance(error, TemporalRefused):
        return False
    cause = error.__cause__  # a namespace's own limit has other words than a deployment's
    exhausted = isinstance(cause, RPCError) and cause.status == RPCStatusCode.RESOURCE_EXHAUSTED
    return exhausted or "too many requests" in error.why.lower()


def _quotable(name: str) -> str:
    """A name for a list filter, which has no way to escape a quote."""
    if not name or any(c in '"\\' or not c.isprintable() for c in name):
        raise ValueError(f"{name!r} cannot stand in a query")
    return name


def _of_deployment(name: str) -> str:
    return f'DeploymentName="{_quotable(name)}"'


def _version(name: str, build_id: str) -> WorkerDeploymentVersion:
    return WorkerDeploymentVersion(deployment_name=name, build_id=build_id)


def _time(message: Message, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(UTC)


def _deployment(info: WorkerDeploymentInfo, token: bytes) -> Deployment:
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


def _details(info: WorkerDeploymentVersionInfo) -> VersionDetails:
    activity = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    return VersionDetails(
        build_id=info.deployment_version.build_id,
        activity_queues=tuple(queue.name for queue in info.task_queue_infos if queue.type == activity),
        metadata={key: payload.data for key, payload in info.metadata.entries.items()},
        last_modifier=info.last_modifier_identity,
    )


def _worker(beat: WorkerHeartbeat) -> Worker:
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
