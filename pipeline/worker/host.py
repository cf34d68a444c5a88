"""The life of a worker: import, set up, connect, poll, and hand back what is not done when it must end."""

import asyncio
import atexit
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any, Self

from temporalio import activity
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.converter import PayloadCodec
from temporalio.worker import (
    Interceptor,
    PollerBehaviorSimpleMaximum,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
)

from pipeline.worker.calls import Calls
from pipeline.worker.connection import connect
from pipeline.worker.discovery import Activity, find_activities
from pipeline.worker.failures import HostFailure
from pipeline.worker.handover import Handover
from pipeline.worker.heartbeats import Heartbeats
from pipeline.worker.hooks import find_compare, make_codec
from pipeline.worker.log import keep_small
from pipeline.worker.own_queue import open_own_queue
from pipeline.worker.payloads import WithoutValues
from pipeline.worker.phases import enter
from pipeline.worker.probe import Probe
from pipeline.worker.saved import SavedStates
from pipeline.worker.settings import HostSettings, batch_of
from pipeline.worker.setup import find_setup, run_setup
from pipeline.worker.store import FileStore
from pipeline.worker.trials import Compare, Trials

SIGNALS = (signal.SIGTERM, signal.SIGINT)

LAST_POLL = ("TEMPORAL_POLL_SHUTDOWN_INTERRUPT_WAIT_MS", "1000")
"""How long the SDK, which reads this variable, leaves its polls open after the worker was told to stop.

Without it, it breaks them off at once, and the call that a poll is just being answered with is lost: to the server it
is started, until its start-to-close or heartbeat timeout, and no worker ever heard of it. A server may have a
setting to end the polls of such a worker itself: then the SDK does not wait."""
CLEAN_UP = 2.0
"""Seconds that a cancelled activity gets to end by itself, after the grace."""
BEAT = timedelta(seconds=10)
"""Between two heartbeats of a call that are sent, at most. Else it is 80 % of the caller's heartbeat timeout, which
leaves little time for a server that is slow to hear the next one, and much state unsent if the worker is killed."""
HAND_BACK = 8.0
"""Seconds in which the server must have heard of the calls that are handed back; it takes a fraction of one."""


@dataclass(frozen=True)
class Version:
    """The Worker Deployment Version that this process is a worker of."""

    deployment: str
    build_id: str

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables that every runtime sets.

        Raises:
            HostFailure: HostMisconfigured.
        """
        names = ("TEMPORAL_DEPLOYMENT_NAME", "TEMPORAL_WORKER_BUILD_ID")
        missing = [name for name in names if not environment.get(name)]
        if missing:
            why = f"{' and '.join(missing)} not set"
            raise HostFailure("HostMisconfigured", "the worker does not know its version", why=why)
        return cls(*(environment[name] for name in names))

    @property
    def for_batch(self) -> "Version":
        """The version of the same build in the deployment that routes batch calls."""
        return Version(batch_of(self.deployment), self.build_id)

    @property
    def config(self) -> WorkerDeploymentConfig:
        """As Temporal's worker takes it."""
        return WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(self.deployment, self.build_id),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        )


@dataclass(frozen=True)
class Lane:
    """A task queue whose calls this process takes, so many at once, and the version whose routing they follow."""

    task_queue: str
    version: Version | None
    slots: int
    handover: Handover


@dataclass(frozen=True)
class Research:
    """What the host found in the research modules."""

    activities: Sequence[Activity]
    codec: PayloadCodec | None
    compare: Compare | None


def run(settings: HostSettings, environment: Mapping[str, str]) -> None:
    """Run the worker until SIGTERM or SIGINT. What ignores its cancellation may run on until the process ends.

    Raises:
        HostFailure: the worker could not start.
        RuntimeError: Temporal's worker failed.
    """
    for number in SIGNALS:
        signal.signal(number, _leave_at_once)
    activity.logger.base_logger.addFilter(WithoutValues())
    version = Version.of_environment(environment)
    os.environ.setdefault(*LAST_POLL)
    # Only `async def` code runs in the loop: a plain setup hook may start a loop of its own.
    runner = asyncio.Runner()
    # Not here and now: it waits without end for what research code left running in tasks and threads.
    atexit.register(runner.close)
    enter("importing")
    activities = find_activities(settings.activities)
    hook = find_setup(settings.setup)
    research = Research(activities, make_codec(settings.codec), find_compare(settings.compare))
    lanes = _lanes(settings, version, _store(settings, environment))
    if hook:
        enter("setup")
        run_setup(hook, runner)
    runner.run(_serve(settings, version, lanes, research))


def _store(settings: HostSettings, environment: Mapping[str, str]) -> FileStore | None:
    address = environment.get("CHECKPOINT_STORE") or settings.checkpoint_store
    return FileStore(address) if address else None


def _lanes(settings: HostSettings, version: Version, store: FileStore | None) -> list[Lane]:
    """The algorithm's own queue first. The batch queue's slots are taken from it: neither takes the other's calls."""
    slots, batch = settings.max_concurrent_activities, settings.batch_slots
    own = Lane(settings.task_queue, version, slots - batch, Handover(store))
    lanes = [own]
    if batch:
        lanes.append(Lane(batch_of(own.task_queue), version.for_batch, batch, Handover(store)))
    if settings.own_queue:
        # Not of the version: its calls would be routed to the Current one, which does not take from this queue.
        lanes.append(Lane(open_own_queue(settings.task_queue), None, slots, Handover(store)))
    return lanes


def _leave_at_once(number: int, _: FrameType | None) -> None:
    # Nothing polls yet, so nothing is lost. Without a handler, a container's first process would not end.
    enter("stopped", why=f"{signal.Signals(number).name} before the worker polled")
    os._exit(128 + number)


async def _serve(settings: HostSettings, version: Version, lanes: Sequence[Lane], research: Research) -> None:
    enter("connecting")
    identity = f"{settings.task_queue}/{version.build_id}@{socket.gethostname()}:{os.getpid()}"
    client = await connect(
        identity=identity,
        heartbeat=settings.heartbeat,
        patience=settings.connect_timeout,
        codec=research.codec,
    )
    calls = Calls(Trials(client, settings.task_queue, research.activities, research.compare))
    stop = asyncio.Event()
    states = SavedStates(client, settings.task_queue, lanes[0].handover.store)
    research_calls = [one.call for one in research.activities]
    functions: list[Callable[..., Any]] = [*research_calls, calls.ledger.served, states.unread]
    interceptors = [Heartbeats(own=settings.own_heartbeats), calls]
    workers = _workers(client, settings, lanes, activities=functions, interceptors=interceptors, stop=stop)
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    keep_small()
    enter("polling", why=identity)
    polling = [asyncio.create_task(worker.run()) for worker in workers]
    following = [asyncio.create_task(_follow_routing(client, lane, settings)) for lane in lanes]
    await asyncio.wait([*polling, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    for task in following:
        task.cancel()
    for lane in lanes:
        if lane.version is not None:  # no one else takes the calls of this process's own queue
            lane.handover.want(True)
    await _shut_down(workers, polling, calls, settings.grace)


async def _follow_routing(client: Client, lane: Lane, settings: HostSettings) -> None:
    if (its := lane.version) is not None:
        await lane.handover.follow_routing(client, its.deployment, its.build_id, settings.handover_check)


def _workers(
    client: Client,
    settings: HostSettings,
    lanes: Sequence[Lane],
    *,
    activities: Sequence[Callable[..., Any]],
    interceptors: Sequence[Interceptor],
    stop: asyncio.Event,
) -> list[Worker]:
    async def stop_on_fatal_error(_: BaseException) -> None:
        stop.set()

    threads = ThreadPoolExecutor(settings.max_concurrent_activities, thread_name_prefix="activity")
    common: dict[str, Any] = {
        "activities": activities,
        "activity_executor": threads,
        "graceful_shutdown_timeout": timedelta(seconds=settings.grace),
        "max_heartbeat_throttle_interval": BEAT,
        "on_fatal_error": stop_on_fatal_error,
    }
    probing: dict[str, Any] = {
        "workflows": [Probe],
        # The sandbox would import pydantic anew for a workflow of ours that a test runs in it.
        "workflow_runner": UnsandboxedWorkflowRunner(),
        "workflow_task_poller_behavior": PollerBehaviorSimpleMaximum(2),
        "max_cached_workflows": 20,
    }
    return [
        Worker(
            client,
            task_queue=lane.task_queue,
            deployment_config=lane.version.config if lane.version else None,
            max_concurrent_activities=lane.slots,
            interceptors=[*interceptors, lane.handover],
            **(probing if lane is lanes[0] else {}),
            **common,
        )
        for lane in lanes
    ]


async def _shut_down(
    workers: Sequence[Worker], polling: Sequence[asyncio.Task[None]], calls: Calls, grace: float
) -> None:
    enter("stopping")
    # They stop polling now and cancel running calls after the grace; then they wait for them without end.
    shutdown = asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.wait(polling, timeout=grace + CLEAN_UP)
    abandoned = calls.abandon()
    await asyncio.wait(polling, timeout=HAND_BACK)
    shutdown.cancel()
    for ended in filter(asyncio.Task.done, polling):
        ended.result()
    enter("stopped", why=f"{abandoned} calls ignored their cancellation" if abandoned else "")
