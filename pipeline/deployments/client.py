"""Requests about deployments, versions, task queues and workers, one method for each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import Payload
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueVersioningInfo
from temporalio.api.worker.v1 import WorkerListInfo
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

from pipeline.deployments import parsing
from pipeline.deployments.asking import ask, find, polls
from pipeline.deployments.models import Deployment, VersionDetails, Worker
from pipeline.errors import PropagationStuck

FRESH = timedelta(seconds=10)
"""A heartbeat older than this by our clock is watched for a while before its worker is called dead."""
PAGE = 100
QUEUES_FIRST = 4
"""How often task queues are asked whether they know a change before the deployment is asked too."""


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
        answer = await find(self._service.describe_worker_deployment, request)
        return (
            None
            if answer is None
            else parsing.deployment(answer.worker_deployment_info, answer.conflict_token)
        )

    async def details(self, name: str, build_id: str) -> VersionDetails | None:
        """Read one version's queues and metadata; None if the server does not list it."""
        request = DescribeWorkerDeploymentVersionRequest(
            namespace=self._namespace, deployment_version=_version(name, build_id)
        )
        answer = await find(self._service.describe_worker_deployment_version, request)
        return None if answer is None else parsing.details(answer.worker_deployment_version_info)

    async def names(self) -> tuple[str, ...]:
        """The names of all deployments of the namespace."""
        found: list[str] = []
        token = b""
        while True:
            request = ListWorkerDeploymentsRequest(
                namespace=self._namespace, page_size=PAGE, next_page_token=token
            )
            answer = await ask(self._service.list_worker_deployments, request)
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
        await ask(self._service.set_worker_deployment_current_version, request)

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
        await ask(self._service.set_worker_deployment_ramping_version, request)

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
        await ask(self._service.update_worker_deployment_version_metadata, request)

    async def delete_version(self, name: str, build_id: str) -> None:
        """Delete a version; the server refuses while it drains, or pollers were seen in the last five minutes."""
        request = DeleteWorkerDeploymentVersionRequest(
            namespace=self._namespace,
            deployment_version=_version(name, build_id),
            identity=self._client.identity,
        )
        await ask(self._service.delete_worker_deployment_version, request)

    async def workers(self, name: str) -> tuple[Worker, ...]:
        """All workers of a deployment that the server has heard of, dead ones too."""
        return await self._heartbeats(_of_deployment(name))

    async def workers_on(self, task_queue: str) -> tuple[Worker, ...]:
        """All workers of a task queue that the server has heard of, dead ones too."""
        return await self._heartbeats(f'TaskQueue="{_quotable(task_queue)}"')

    async def newcomers(self, name: str, build_id: str, task_queue: str) -> tuple[str, ...]:
        """The identities of a version's workers that poll a queue, and whose first heartbeat is still to come.

        The server lists a poller for five minutes after its end. One counts here only while it is fresh, and
        as long as no heartbeat tells of that worker: what the heartbeat says is newer.
        """
        queue = await self._activity_queue(task_queue)
        now = datetime.now(UTC)
        polling = {
            poller.identity
            for poller in queue.pollers
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
        return await ask(self._service.describe_task_queue, request)

    async def _heartbeats(self, query: str) -> tuple[Worker, ...]:
        running = WorkerStatus.WORKER_STATUS_RUNNING
        keys = [info.worker_instance_key async for info in self._listed(query) if info.status == running]
        requests = [DescribeWorkerRequest(namespace=self._namespace, worker_instance_key=key) for key in keys]
        answers = await asyncio.gather(
            *(find(self._service.describe_worker, request) for request in requests)
        )
        return tuple(
            parsing.worker(answer.worker_info.worker_heartbeat) for answer in answers if answer is not None
        )

    async def _listed(self, query: str) -> AsyncIterator[WorkerListInfo]:
        token = b""
        while True:
            request = ListWorkersRequest(
                namespace=self._namespace, page_size=PAGE, next_page_token=token, query=query
            )
            answer = await ask(self._service.list_workers, request)
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


def _quotable(name: str) -> str:
    """A name for a list filter, which has no way to escape a quote."""
    if not name or any(c in '"\\' or not c.isprintable() for c in name):
        raise ValueError(f"{name!r} cannot stand in a query")
    return name


def _of_deployment(name: str) -> str:
    return f'DeploymentName="{_quotable(name)}"'


def _version(name: str, build_id: str) -> WorkerDeploymentVersion:
    return WorkerDeploymentVersion(deployment_name=name, build_id=build_id)
