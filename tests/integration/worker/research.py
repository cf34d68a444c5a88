"""Research modules as text, and the workflow that calls them as an engineer's would."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

CALLS = '''
import asyncio
import os
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pydantic import BaseModel
from temporalio import activity

HERE = Path(__file__).parent


class Question(BaseModel):
    number: int
    tags: list[str] = []


class Answer(BaseModel):
    doubled: int
    thread: str
    pid: int


def answer(number: int) -> Answer:
    return Answer(doubled=2 * number, thread=threading.current_thread().name, pid=os.getpid())


def load() -> None:
    """Fail in every other thread or if called from a running loop, as many libraries do."""
    assert threading.current_thread() is threading.main_thread()
    asyncio.run(asyncio.sleep(0))
    HERE.joinpath("loaded").write_text("yes")


LOOPS = []


async def load_async() -> None:
    LOOPS.append(asyncio.get_running_loop())


@activity.defn
def in_thread(question: Question) -> Answer:
    """Answer from a thread."""
    return answer(question.number)


@activity.defn
async def on_loop(question: Question) -> Answer:
    """Answer from the loop."""
    return answer(question.number)


@activity.defn
async def same_loop() -> bool:
    return LOOPS == [asyncio.get_running_loop()]


@activity.defn
def was_loaded() -> bool:
    return HERE.joinpath("loaded").exists()


@activity.defn
def picky(question: Question) -> Answer:
    """Find a fault of its own with Pydantic's error; a good reason to try again."""
    if activity.info().attempt == 1:
        try:
            Question.model_validate({"number": "what a model wrote"})
        except ValueError as error:
            raise activity_error() from error
    return answer(question.number)


def activity_error() -> Exception:
    from temporalio.exceptions import ApplicationError

    return ApplicationError("the language model answered nonsense")


def counted(step: int) -> None:
    """Tell the test. A cancellation may be raised in a thread at any point, and must not leave half a file."""
    new = HERE.joinpath("counted.new")
    new.write_text(str(step))
    new.replace(HERE / "counted")


def resumed_from() -> int:
    details = activity.info().heartbeat_details
    return int(details[0]) if details else -1


@activity.defn
def count_in_thread(upto: Question) -> Answer:
    """Count slowly, and heartbeat each step after it is done; a retry answers where it would go on."""
    if resumed_from() >= 0:
        return answer(resumed_from())
    for step in range(1_000_000):
        counted(step)
        activity.heartbeat(step)
        time.sleep(0.02)
    raise AssertionError("never")


@activity.defn
async def count_on_loop(upto: Question) -> Answer:
    """Do as count_in_thread does."""
    if resumed_from() >= 0:
        return answer(resumed_from())
    for step in range(1_000_000):
        counted(step)
        activity.heartbeat(step)
        await asyncio.sleep(0.02)
    raise AssertionError("never")


@activity.defn
def deaf(question: Question) -> Answer:
    """Ignore every cancellation, as a thread in native code does."""
    if activity.info().attempt > 1:
        return answer(question.number)
    counted(0)
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass


@activity.defn
async def deaf_beside_loop(question: Question) -> Answer:
    """Wait for a thread of the loop's own that ignores every cancellation."""
    if activity.info().attempt == 1:
        counted(0)
        await asyncio.to_thread(time.sleep, 60)
    return answer(question.number)


@activity.defn
async def deaf_on_loop(question: Question) -> Answer:
    """Ignore every cancellation, as too broad an `except` does."""
    counted(0)
    while True:
        try:
            await asyncio.sleep(60)
        except BaseException:
            pass


@activity.defn
async def exits(question: Question) -> Answer:
    """End the interpreter from a task of its own, as a script does that was made a function."""
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    await asyncio.sleep(60)
    return answer(question.number)


@activity.defn
def pool_broken(question: Question) -> Answer:
    """Fail as a pool of processes does whose process was killed."""
    raise BrokenProcessPool("a process in the process pool was terminated abruptly")


@activity.defn
def verbose(question: Question) -> Answer:
    """Fail with more words than the server keeps of a call that is tried again."""
    from temporalio.exceptions import ApplicationError

    raise ApplicationError("no " * 3000, type="Verbose")


@activity.defn
def brief(question: Question) -> Answer:
    """End so many seconds after the worker was told to stop."""
    counted(0)
    activity.wait_for_worker_shutdown_sync()
    time.sleep(question.number)
    return answer(activity.info().attempt)
'''


@workflow.defn
class Call:
    """One activity call on an algorithm's task queue, retried for ever as Temporal does by default."""

    @workflow.run
    async def run(self, task_queue: str, activity: str, arguments: list[Any]) -> Any:
        return await workflow.execute_activity(
            activity,
            args=arguments,
            task_queue=task_queue,
            start_to_close_timeout=timedelta(seconds=120),
            heartbeat_timeout=timedelta(seconds=30) if activity.startswith("count") else None,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100), backoff_coefficient=1.0),
        )
