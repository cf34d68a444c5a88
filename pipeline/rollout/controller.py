"""The standing controller: it hosts this machine's releases, so that hours of watching need no command."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecution
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from pipeline.deployments import Deployments, polls
from pipeline.errors import ConduitError, NoController, RuntimeUnavailable
from pipeline.models import Build, Environment
from pipeline.rollout import host
from pipeline.rollout.messages import ReleaseRequest, workflow_id
from pipeline.rollout.policy import Ancestry
from pipeline.rollout.serving import controller_queue, is_of_this_machine, worker
from pipeline.runtimes import OF_ARTIFACT, LocalWorker, Runtime

SEARCH = 30.0
"""Seconds between two searches for releases that lost their host."""
JUST_STARTED = 3.0
"""Seconds for which a controller is listened for: it is first heard a heartbeat after its start."""
ORPHANS = "WorkflowType = 'Rollout' AND ExecutionStatus = 'Running'"

Say = Callable[[str], None]


class EveryRuntime:
    """All runtimes of this machine as one: a build's artifact tells in which its workers run."""

    def __init__(self, runtimes: dict[str, Runtime]) -> None:
        self._runtimes = runtimes

    def start(self, build: Build, replicas: int) -> None:
        """See `Runtime.start`."""
        self._runtimes[OF_ARTIFACT[build.artifact.kind]].start(build, replicas)

    def workers(self, algorithm: str) -> tuple[LocalWorker, ...]:
        """See `Runtime.workers`."""
        return tuple(worker for runtime in self._runtimes.values() for worker in _seen(runtime, algorithm))

    def stop(self, algorithm: str, build_id: str) -> None:
        """See `Runtime.stop`."""
        self._of(algorithm, build_id).stop(algorithm, build_id)

    def log(self, algorithm: str, build_id: str, lines: int = 40) -> str:
        """See `Runtime.log`."""
        return self._of(algorithm, build_id).log(algorithm, build_id, lines)

    def build(self, algorithm: str, build_id: str) -> Build | None:
        """See `Runtime.build`."""
        return self._of(algorithm, build_id).build(algorithm, build_id)

    def _of(self, algorithm: str, build_id: str) -> Runtime:
        """The one that has workers of the build; else the first."""
        runtimes = list(self._runtimes.values())
        has = (r for r in runtimes if any(w.build_id == build_id for w in _seen(r, algorithm)))
        return next(has, runtimes[0])


def _seen(runtime: Runtime, algorithm: str) -> tuple[LocalWorker, ...]:
    try:
        return runtime.workers(algorithm)
    except RuntimeUnavailable:  # this machine may have no such engine; heartbeats tell of its workers
        return ()


async def hand_over(client: Client, request: ReleaseRequest, is_ancestor: Ancestry, home: Path) -> None:
    """Begin a release and leave it to this machine's controller.

    Raises:
        NoController: there is none, and nothing would go on.
        ReleaseInFlight, OlderCommit: another release goes on.
    """
    queue = controller_queue(home)
    deployments = Deployments(client)
    if not await _hears_one(deployments, queue):
        raise NoController(
            "No controller runs on this machine.",
            why="A detached release goes on in one, and builds are kept on the machine that made them.",
            now="Start `conduit controller` here, as a service, with the same CONDUIT_HOME; or leave --detach out.",
        )
    await host.start(client, request, is_ancestor, queue)


async def _hears_one(deployments: Deployments, queue: str) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(JUST_STARTED):
            async for _ in polls(most=0.5):
                if await deployments.live(lambda: deployments.workers_on(queue)):
                    return True
    return False


async def serve(client: Client, runtime: Runtime, home: Path, say: Say, stop: asyncio.Event) -> None:
    """Host this machine's releases until `stop`; go on with those that lost their host."""
    queue = controller_queue(home)
    async with worker(client, queue, runtime):
        say(f"the controller serves {queue}")
        while not stop.is_set():
            try:
                await _adopt_all(client, runtime, queue, say)
            except (ConduitError, RPCError) as error:  # the server may be restarted under it
                say(f"releases without a host could not be looked for, and are again later: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SEARCH)


async def _adopt_all(client: Client, runtime: Runtime, queue: str, say: Say) -> None:
    async for run in client.list_workflows(ORPHANS):
        if run.task_queue != queue and is_of_this_machine(run.task_queue):
            try:
                await _adopt(client, runtime, run, queue, say)
            except ConduitError as error:
                say(f"{run.id} was left alone: {error.what}")
            except ValidationError:
                say(
                    f"{run.id} was left alone: another version of the toolkit began it. Deliver its commit again."
                )


async def _adopt(client: Client, runtime: Runtime, run: WorkflowExecution, queue: str, say: Say) -> None:
    """Begin a release anew whose host is dead: what it did is in Temporal, and is found done."""
    other = await host.in_flight(client, run.id.removeprefix(workflow_id("")))
    if other is None or other.host_is_alive or other.run_id != run.run_id:
        return
    request = await _request(client, run)
    build = request.build
    if isinstance(build.artifact, Environment) and not runtime.build(build.algorithm, build.build_id):
        return  # another folder of this machine has it
    say(f"going on with the release of {build.build_id} of {build.algorithm}")
    await host.start(client, request.model_copy(update={"over": None}), lambda older, newer: None, queue)


async def _request(client: Client, run: WorkflowExecution) -> ReleaseRequest:
    """What a release was begun with."""
    async for event in client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history_events():
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        (request,) = await pydantic_data_converter.decode(payloads, [ReleaseRequest])
        return ReleaseRequest.model_validate(request)
    raise AssertionError("a history has a first event")
