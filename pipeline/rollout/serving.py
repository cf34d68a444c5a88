"""The worker of releases: it runs inside a command that follows one, or in a standing controller."""

import asyncio
import hashlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    Worker,
    WorkerDeploymentConfig,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from pipeline import __version__, errors
from pipeline.deployments import Deployments
from pipeline.errors import ConduitError
from pipeline.report import inert
from pipeline.rollout.activities import Activities
from pipeline.rollout.heal import Healer
from pipeline.rollout.hold import Hold
from pipeline.rollout.observe import OBSERVE, Observer
from pipeline.rollout.retire import Retirer
from pipeline.rollout.roll_back import RollBack
from pipeline.rollout.workflow import Rollout
from pipeline.runtimes import Runtime

HEARTBEAT = 2.0
"""Seconds between two heartbeats of a release's own activities."""
WORTH_A_RETRY = (errors.TemporalUnreachable, errors.RuntimeUnavailable)

log = logging.getLogger(__name__)

OWN_VERSION = WorkerDeploymentConfig(
    version=WorkerDeploymentVersion("conduit", __version__), use_worker_versioning=False
)
"""Told to the server and not routed by; without one the SDK reads the code of all modules to make one up."""
RUNNER = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("pipeline")
)


def task_queue(algorithm: str) -> str:
    """The queue of a release that a command follows: of this machine, as workers are started where it is served."""
    return f"conduit/{algorithm}@{socket.gethostname()}"


def controller_queue(home: Path) -> str:
    """The queue of this machine's controller, for all algorithms whose builds are kept in `home`.

    Each version of the toolkit has its own: a release that another version began is begun anew, not replayed.
    """
    place = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:8]
    return f"conduit/controller/{__version__}/{place}@{socket.gethostname()}"


def is_of_this_machine(queue: str) -> bool:
    """Whether a queue of releases is served on this machine."""
    return queue.startswith("conduit/") and queue.endswith(f"@{socket.gethostname()}")


class _Reporting(ActivityInboundInterceptor):
    """Heartbeats while a step runs, and carries our errors over to the command that waits."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if activity.info().activity_type == OBSERVE:  # its own heartbeats carry what it has gathered
            return await self._carried(input)
        beating = asyncio.create_task(_beat())
        try:
            return await self._carried(input)
        finally:
            beating.cancel()

    async def _carried(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except ConduitError as error:
            again = isinstance(error, WORTH_A_RETRY)
            if again:
                _tell_of(error)
            raise ApplicationError(
                error.what,
                error.fields(),
                type=type(error).__name__,
                non_retryable=not again,
                # It is told where it matters: the SDK would print a traceback for every try.
                category=ApplicationErrorCategory.BENIGN,
            ) from None  # with all its causes it is longer than the server keeps of a step that is tried again


def _tell_of(error: ConduitError) -> None:
    """Say what a step waits for; less and less often, as it may wait for minutes."""
    info = activity.info()
    if info.attempt & (info.attempt - 1) == 0:  # the first, second, fourth, eighth ... try
        log.warning("%s is tried again: %s %s", info.activity_type, inert(error.what), inert(error.why))


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT)


class Reporting(Interceptor):
    """See `_Reporting`."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Wrap every activity of the worker."""
        return _Reporting(next)


@asynccontextmanager
async def worker(client: Client, queue: str, runtime: Runtime) -> AsyncIterator[None]:
    """Serve the releases of a queue on this machine."""
    async with Worker(
        client,
        task_queue=queue,
        deployment_config=OWN_VERSION,
        workflows=[Rollout, RollBack, Hold],
        activities=_steps(client, runtime),
        interceptors=[Reporting()],
        workflow_runner=RUNNER,
        graceful_shutdown_timeout=timedelta(seconds=1),
        max_heartbeat_throttle_interval=timedelta(seconds=HEARTBEAT),
    ):
        yield


def _steps(client: Client, runtime: Runtime) -> list[Callable[..., Any]]:
    deployments = Deployments(client)
    steps = Activities(client, deployments, runtime)
    observer = Observer(client, deployments, runtime)
    return [
        steps.routing,
        steps.tidy,
        steps.start,
        steps.register,
        steps.describe,
        steps.gate,
        steps.ramp,
        steps.route,
        steps.propagate,
        steps.undo,
        steps.stop,
        steps.quarantine,
        observer.counters,
        observer.observe,
        Healer(client).heal,
        Retirer(client, deployments, runtime).retire,
    ]
