"""How the workflows that change an algorithm's routing take their steps."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from pipeline.rollout.activities import Activities
    from pipeline.rollout.messages import Started

T = TypeVar("T")

HEARTBEAT_TIMEOUT = timedelta(seconds=15)
RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5))
MOST = timedelta(minutes=5)
"""For a step that does not say how long it may take, retries included."""


async def step(
    name: str, activity: Callable[[Any, Any], Awaitable[T]], argument: object, most: timedelta | None = None
) -> T:
    """Run one step of a release; `name` is what people see of it, here and in Temporal's UI."""
    return await workflow.execute_activity_method(
        activity,
        argument,
        summary=name,
        schedule_to_close_timeout=most or MOST,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RETRY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def beside(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Begin a step that may be broken off: asyncio prints its failure where nobody looks at it."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


async def start(build: Started) -> None:
    """Have workers of the build beside those of the others, warm and seen by Temporal."""
    most = timedelta(seconds=build.timeout) + MOST
    await step("start", Activities.start, build, most)  # it may have an image to pull
    await step("register", Activities.register, build, most)


async def undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """Do what a cancellation, such as Ctrl-C, must not cut short: it comes too late."""
    task = asyncio.create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return task.result()
