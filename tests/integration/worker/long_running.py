"""A long-running algorithm in three versions of its state, as research text, and the workflow that calls it.

Each step of the work is written to `steps.jsonl` beside the module, so that what was done twice can be counted.
"""

import json
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel
from temporalio import workflow
from temporalio.common import RetryPolicy

HEARTBEAT_TIMEOUT = 2.0
EVERY = 0.3
INTERVAL = EVERY + 0.8 * HEARTBEAT_TIMEOUT
"""What a killed worker's call may have to do again, in seconds of work."""

HEAD = """
import asyncio
import json
import os
import time
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel
from temporalio import activity

from pipeline.worker.checkpoint import Checkpoint

HERE = Path(os.environ.get("STEPS_FOLDER", Path(__file__).parent))
PAUSE = 0.03
BUILD = os.environ.get("TEMPORAL_WORKER_BUILD_ID", "")


class Work(BaseModel):
    padding: int = 0


class Done(BaseModel):
    steps: int
    total: int
    build: str
    migrated: list[int]
    attempt: int


def finished():
    return HERE.joinpath("finish").exists()


def note(step):
    line = {"call": activity.info().workflow_id, "step": step, "build": BUILD, "at": time.time()}
    with HERE.joinpath("steps.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\\n")
"""

FIRST = """
class Progress(BaseModel):
    step: int = 0
    total: int = 0
    padding: str = ""

MIGRATIONS = {}

def stepped(progress, padding):
    return Progress(step=progress.step + 1, total=progress.total + progress.step**2, padding="x" * padding)

def outcome(progress):
    return progress.total, []
"""

OWN = """
from pipeline.worker.own_queue import own_queue

@activity.defn
def own() -> str:
    return own_queue()
"""

SECOND = """
class First(BaseModel):
    step: int
    total: int
    padding: str = ""

class Progress(BaseModel):
    step: int = 0
    total: int = 0
    migrated: list[int] = []
    padding: str = ""

def from_first(old: First) -> Progress:
    return Progress(step=old.step, total=old.total, migrated=[1])

MIGRATIONS = {1: from_first}

def stepped(progress, padding):
    total = progress.total + progress.step**2
    changed = {"step": progress.step + 1, "total": total, "padding": "x" * padding}
    return progress.model_copy(update=changed)

def outcome(progress):
    return progress.total, progress.migrated
"""

THIRD = """
class First(BaseModel):
    step: int
    total: int
    padding: str = ""

class Second(First):
    migrated: list[int] = []

class Sum(BaseModel):
    value: int = 0

class Progress(BaseModel):
    step: int = 0
    sum: Sum = Sum()
    migrations: list[int] = []
    padding: str = ""

def from_first(old: First) -> Second:
    return Second(step=old.step, total=old.total, migrated=[1])

def from_second(old: Second) -> Progress:
    return Progress(step=old.step, sum=Sum(value=old.total), migrations=[*old.migrated, 2])

MIGRATIONS = {1: from_first, 2: from_second}

def stepped(progress, padding):
    value = progress.sum.value + progress.step**2
    changed = {"step": progress.step + 1, "sum": Sum(value=value), "padding": "x" * padding}
    return progress.model_copy(update=changed)

def outcome(progress):
    return progress.sum.value, progress.migrations
"""

FOURTH_THAT_FORGETS = """
class Progress(BaseModel, extra="forbid"):
    step: int = 0


MIGRATIONS = {}

def stepped(progress, padding):
    return progress

def outcome(progress):
    return 0, []
"""

TAIL = f"""
STATE = Checkpoint(
    "sum", Progress, migrations=MIGRATIONS, handover=True, every=timedelta(seconds={EVERY})
)


def done(progress):
    total, migrated = outcome(progress)
    return Done(steps=progress.step, total=total, build=BUILD, migrated=migrated, attempt=activity.info().attempt)


@activity.defn
def add_in_thread(work: Work) -> Done:
    progress = STATE.load(Progress())
    while not finished():
        note(progress.step)
        time.sleep(PAUSE)
        progress = stepped(progress, work.padding)
        STATE.save(progress)
    return done(progress)


@activity.defn
async def add_on_loop(work: Work) -> Done:
    progress = STATE.load(Progress())
    while not finished():
        note(progress.step)
        await asyncio.sleep(PAUSE)
        progress = stepped(progress, work.padding)
        await asyncio.to_thread(STATE.save, progress)
    return done(progress)
"""


class Work(BaseModel):
    """How large its state is, in bytes; it ends when a test has written the file `finish`."""

    padding: int = 0


class Done(BaseModel):
    """What came of it."""

    steps: int
    total: int
    build: str
    migrated: list[int]
    attempt: int


class LongCall(BaseModel):
    """A call of the algorithm as an engineer's workflow makes it."""

    task_queue: str
    activity: str
    work: Work
    attempts: int = 0
    heartbeat_timeout: float = HEARTBEAT_TIMEOUT


@workflow.defn
class LongRunning:
    """One long call."""

    @workflow.run
    async def run(self, call: LongCall) -> Done:
        done: Done = await workflow.execute_activity(
            call.activity,
            call.work,
            result_type=Done,
            task_queue=call.task_queue,
            start_to_close_timeout=timedelta(minutes=30),
            heartbeat_timeout=timedelta(seconds=call.heartbeat_timeout),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=100),
                maximum_interval=timedelta(seconds=1),
                maximum_attempts=call.attempts,
            ),
        )
        return done


def algorithm(version: str) -> str:
    """The research module whose state is of that version."""
    return HEAD + version + TAIL


def is_right(done: Done) -> bool:
    """Whether the answer is what so many steps give, each done once."""
    return done.total == sum(step**2 for step in range(done.steps))


def finish(folder: Path) -> None:
    """Let the work come to its end."""
    (folder / "finish").touch()


class Step(BaseModel):
    """One step of the work that was begun."""

    call: str
    step: int
    build: str
    at: float


def steps(folder: Path, call: str) -> list[Step]:
    """The steps that a call began, in their order."""
    file = folder / "steps.jsonl"
    lines = file.read_text().split("\n")[:-1] if file.exists() else []  # the last may be half written yet
    return [step for line in lines if (step := Step.model_validate(json.loads(line))).call == call]


def repeated(done: list[Step]) -> list[Step]:
    """The steps that were begun again later."""
    last = {step.step: index for index, step in enumerate(done)}
    return [step for index, step in enumerate(done) if last[step.step] != index]


def seconds_repeated(done: list[Step]) -> float:
    """How long the worker was at steps which were begun again later."""
    again = repeated(done)
    return again[-1].at - again[0].at if again else 0.0
