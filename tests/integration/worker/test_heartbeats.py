"""A call whose caller set a heartbeat timeout, through the worker host: kept alive, or tried again in time."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import TimeoutType, WorkerVersioningMode
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

from tests.integration.worker.conftest import Algorithm
from tests.parts.waiting import eventually
from tests.parts.worker_host import WorkerHost

StartHost = Callable[..., WorkerHost]

TIMEOUT = timedelta(seconds=3)
AT_MOST = timedelta(seconds=12)

RESEARCH = '''
import asyncio
import ctypes
import os
import time
from pathlib import Path
from typing import Any

from temporalio import activity

HERE = Path(__file__).parent
LONG = 7


def attempt() -> int:
    return activity.info().attempt


@activity.defn
def quiet_in_thread() -> int:
    time.sleep(LONG)
    return attempt()


@activity.defn
async def quiet_on_loop() -> int:
    await asyncio.sleep(LONG)
    return attempt()


@activity.defn
def speaks_once() -> int:
    if attempt() == 1:
        activity.heartbeat("once")
        time.sleep(LONG)
    return attempt()


@activity.defn
def hangs() -> int:
    if attempt() == 1:
        time.sleep(60)
    return attempt()


@activity.defn
def holds_the_interpreter() -> int:
    """Sleep as native code does that does not release Python's lock."""
    if attempt() == 1:
        ctypes.PyDLL(None).sleep(LONG)
    return attempt()


@activity.defn
def dies() -> list[Any]:
    """Be killed twice, long after the only state that the call itself ever told, amid further work."""
    found = list(activity.info().heartbeat_details)
    if attempt() == 3:
        return [attempt(), *found]
    state = found[0] if found else {"done": 42}
    if attempt() == 1:
        activity.heartbeat(state)
    activity.heartbeat()  # to say that it lives
    state["done"] = "half of the next"
    (HERE / f"attempt-{attempt()}").touch()
    time.sleep(60)
    raise AssertionError("never")


@activity.defn
def cancelled_in_thread() -> None:
    (HERE / "thread-begun").touch()
    try:
        for _ in range(600):
            time.sleep(0.1)
    except BaseException:
        (HERE / "thread-cancelled").touch()
        raise


@activity.defn
async def cancelled_on_loop() -> None:
    (HERE / "loop-begun").touch()
    try:
        await asyncio.sleep(60)
    except BaseException:
        (HERE / "loop-cancelled").touch()
        raise
'''


@workflow.defn
class Watched:
    """One call with both timeouts."""

    @workflow.run
    async def run(self, task_queue: str, activity: str) -> Any:
        return await workflow.execute_activity(
            activity,
            task_queue=task_queue,
            start_to_close_timeout=timedelta(minutes=2) if activity == "dies" else AT_MOST,
            heartbeat_timeout=TIMEOUT,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100), backoff_coefficient=1.0),
        )


@pytest.fixture
async def start(temporal_client: Client, algorithm: Algorithm, tmp_path: Path) -> Any:
    """Starts a call."""
    (tmp_path / "quiet.py").write_text(RESEARCH)
    queue = f"{algorithm.name}-watched"

    async def start(activity: str) -> WorkflowHandle[Any, Any]:
        return await temporal_client.start_workflow(
            Watched.run, args=[algorithm.name, activity], id=f"{queue}-{activity}", task_queue=queue
        )

    async with Worker(temporal_client, task_queue=queue, workflows=[Watched]):
        yield start


async def _ended(call: WorkflowHandle[Any, Any]) -> tuple[Any, int]:
    """A call's answer, and which timeout the attempt before ran into."""
    answer = await asyncio.wait_for(call.result(), 60)
    timeout = 0
    async for event in call.fetch_history_events():
        if event.HasField("activity_task_started_event_attributes"):
            failure = event.activity_task_started_event_attributes.last_failure
            timeout = failure.timeout_failure_info.timeout_type
    return answer, timeout


async def _outcomes(start: Any, *activities: str) -> dict[str, tuple[Any, int]]:
    calls = [await start(name) for name in activities]
    return dict(zip(activities, await asyncio.gather(*map(_ended, calls)), strict=True))


NONE, START_TO_CLOSE = 0, TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
HEARTBEAT = TimeoutType.TIMEOUT_TYPE_HEARTBEAT


async def test_the_host_heartbeats_for_calls_and_hides_none_that_hangs(
    algorithm: Algorithm, start_host: StartHost, start: Any
) -> None:
    start_host("b1", activities=("quiet",))
    await algorithm.make_current("b1")
    assert await _outcomes(start, "quiet_in_thread", "quiet_on_loop", "speaks_once", "hangs") == {
        "quiet_in_thread": (1, NONE),
        "quiet_on_loop": (1, NONE),
        "speaks_once": (1, NONE),
        "hangs": (2, START_TO_CLOSE),
    }


async def test_where_it_is_wished_an_activity_that_heartbeats_speaks_for_itself(
    algorithm: Algorithm, start_host: StartHost, start: Any
) -> None:
    start_host("b1", activities=("quiet",), own_heartbeats=True)
    await algorithm.make_current("b1")
    assert await _outcomes(start, "quiet_in_thread", "speaks_once") == {
        "quiet_in_thread": (1, NONE),
        "speaks_once": (2, HEARTBEAT),
    }


async def test_what_the_call_itself_said_last_survives_the_hosts_heartbeats(
    algorithm: Algorithm, start_host: StartHost, start: Any, tmp_path: Path
) -> None:
    hosts = [start_host("b1", activities=("quiet",))]
    await algorithm.make_current("b1")
    call = await start("dies")
    for attempt in (1, 2):

        async def begun(attempt: int = attempt) -> bool:
            return (tmp_path / f"attempt-{attempt}").exists()

        await eventually(begun)
        seen = await _last_heartbeat(call)

        async def heard(seen: float = seen) -> bool:
            return await _last_heartbeat(call) > seen

        await eventually(heard)
        hosts[-1].process.kill()
        hosts.append(start_host("b1", activities=("quiet",)))
    assert await asyncio.wait_for(call.result(), 60) == [3, {"done": 42}]


async def test_a_call_that_stops_its_hosts_heartbeats_is_named_in_the_log(
    algorithm: Algorithm, start_host: StartHost, start: Any
) -> None:
    host = start_host("b1", activities=("quiet",))
    await algorithm.make_current("b1")
    attempt, timeout = await _ended(await start("holds_the_interpreter"))
    assert (attempt > 1, timeout) == (True, HEARTBEAT)
    [told] = [line for line in host.log.splitlines() if "heartbeat timeout of 3 s" in line]
    assert "no heartbeat of activity holds_the_interpreter of workflow" in told
    assert "held Python's lock" in told


async def _last_heartbeat(call: WorkflowHandle[Any, Any]) -> float:
    [pending] = (await call.describe()).raw_description.pending_activities
    return float(pending.last_heartbeat_time.ToNanoseconds())


async def test_a_call_that_no_worker_ever_heard_of_is_tried_again(
    algorithm: Algorithm, start_host: StartHost, start: Any
) -> None:
    """As a server leaves it that is too slow to tell the worker, or a worker that is killed before it reads."""
    request = PollActivityTaskQueueRequest(namespace="default", identity="nobody")
    request.task_queue.name = algorithm.name
    options = request.deployment_options
    options.deployment_name, options.build_id = algorithm.name, "b1"
    options.worker_versioning_mode = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    poll = asyncio.create_task(
        algorithm.client.workflow_service.poll_activity_task_queue(request, timeout=timedelta(seconds=60))
    )
    await algorithm.make_current("b1")
    call = await start("speaks_once")
    assert (await poll).activity_type.name == "speaks_once"
    start_host("b1", activities=("quiet",))
    assert await _ended(call) == (2, HEARTBEAT)


async def test_the_hosts_heartbeats_bring_a_cancellation(
    algorithm: Algorithm, start_host: StartHost, start: Any, tmp_path: Path
) -> None:
    start_host("b1", activities=("quiet",))
    await algorithm.make_current("b1")
    calls = [await start("cancelled_in_thread"), await start("cancelled_on_loop")]

    async def has(mark: str) -> bool:
        return all((tmp_path / f"{name}-{mark}").exists() for name in ("thread", "loop"))

    await eventually(lambda: has("begun"))
    for call in calls:
        await call.cancel()
    for call in calls:
        with pytest.raises(WorkflowFailureError):
            await call.result()
    await eventually(lambda: has("cancelled"))
