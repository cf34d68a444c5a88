"""Handing calls over, and what a call's end does with its state, without a server."""

import asyncio
import threading
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from pydantic import BaseModel
from temporalio import activity
from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentResponse
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from pipeline.worker import handover
from pipeline.worker.checkpoint import MOST_INLINE, Checkpoint, Store
from pipeline.worker.handover import Handover
from pipeline.worker.own_queue import own_queue


class Innermost(ActivityInboundInterceptor):
    """Runs the activity itself."""

    def __init__(self) -> None:
        """It is called by the interceptor under test."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return input.fn()


def hosted(
    act: Callable[[], Any], store: Store | None = None, environment: ActivityEnvironment | None = None
) -> Coroutine[Any, Any, Any]:
    """What an activity does as the worker host runs it."""
    call = Handover(store).intercept_activity(Innermost())
    given = ExecuteActivityInput(fn=act, args=[], executor=None, headers={})
    running: Coroutine[Any, Any, Any] = (environment or ActivityEnvironment()).run(
        call.execute_activity, given
    )
    return running


def fail() -> None:
    raise ValueError("no such clip")


def test_a_queue_of_its_own_is_missed_where_it_was_not_asked_for() -> None:
    """The algorithm's queue in its place would lead a caller to any worker."""
    with pytest.raises(ApplicationError, match="set `own-queue = true`"):
        asyncio.run(hosted(own_queue))
    assert ActivityEnvironment().run(own_queue) == ActivityEnvironment.default_info().task_queue


async def test_a_call_that_saved_nothing_ends_without_a_free_thread() -> None:
    released = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        busy = asyncio.create_task(asyncio.to_thread(released.wait))
        try:
            await asyncio.sleep(0)
            with pytest.raises(ValueError, match="no such clip"):
                await asyncio.wait_for(hosted(fail), 5)
        finally:
            released.set()
            await busy


class SlowStore:
    """Keeps the first state at once, and the others when it is told to."""

    def __init__(self) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        self._writes = 0

    def write(self, call: activity.Info, content: bytes) -> str:
        self._writes += 1
        if self._writes > 1:
            self.begun.set()
            self.released.wait()
        return f"{self._writes}.json"

    def read(self, call: activity.Info | None, file: str) -> bytes:
        raise AssertionError("nothing is read")


class Text(BaseModel):
    text: str


async def test_the_last_state_is_sent_also_where_the_host_gives_the_call_up_meanwhile() -> None:
    state = Checkpoint(f"text-{uuid.uuid4()}", Text)

    def save_and_fail() -> None:
        state.save(Text(text="a" * MOST_INLINE))
        state.save(Text(text="b" * MOST_INLINE))
        fail()

    store, beats = SlowStore(), []
    made = ActivityEnvironment()
    made.on_heartbeat = lambda saved: beats.append(saved.file)
    call = asyncio.create_task(hosted(save_and_fail, store, made))
    try:
        await asyncio.to_thread(store.begun.wait)
        call.cancel()
        await asyncio.wait({call}, timeout=0.1)
        assert not call.done()
    finally:
        store.released.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert beats == ["1.json", "2.json"]


def passed_on_and_not_propagated() -> DescribeWorkerDeploymentResponse:
    """What the server tells of a deployment that calls were just routed away in, from b1 to b2."""
    seen = DescribeWorkerDeploymentResponse()
    info = seen.worker_deployment_info
    info.routing_config.current_deployment_version.build_id = "b2"
    info.routing_config_update_state = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS
    version = info.version_summaries.add()
    version.deployment_version.build_id = "b1"
    version.first_activation_time.GetCurrentTime()
    return seen


async def test_each_change_of_routing_gets_its_time_to_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Mock(return_value=1000.0)
    monkeypatch.setattr(handover, "time", SimpleNamespace(monotonic=now))
    looks: asyncio.Queue[None] = asyncio.Queue()

    async def describe(*_: object, **__: object) -> DescribeWorkerDeploymentResponse:
        looks.put_nowait(None)
        return passed_on_and_not_propagated()

    client: Any = SimpleNamespace(
        namespace="default", workflow_service=SimpleNamespace(describe_worker_deployment=describe)
    )
    call = Mock(hands_over=True)
    its = Handover()
    its.calls.add(call)
    following = asyncio.create_task(its.follow_routing(client, "speaker-id", "b1", 0.0))
    try:
        await looks.get()
        assert not its.wants_handover
        its.calls.discard(call)  # it ended; b1 may be rolled back to, and promoted over, from now on
        for _ in range(3):
            await asyncio.sleep(0)
        now.return_value += 3600
        its.calls.add(call)
        await looks.get()
        assert not its.wants_handover
        now.return_value += handover.PROPAGATED_BY_NOW + 1
        await looks.get()
        assert its.wants_handover
    finally:
        following.cancel()
