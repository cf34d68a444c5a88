"""Pushes that race on a real server, begun at moments that hypothesis chooses, under a running caller.

Only the workers are plain: Temporal's own, in this process, so that a build costs no environment and no process.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from temporalio import activity
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from pipeline import connection, errors
from pipeline.commands.release import Wishes, release_build
from pipeline.commands.session import Session
from pipeline.commands.showing import shown
from pipeline.deployments import Deployments
from pipeline.models import Build, Commit, Environment, build_id
from pipeline.options.gates import GateOptions
from pipeline.options.release import ReleaseOptions
from pipeline.report import Report
from pipeline.rollout import host
from pipeline.runtimes import LocalWorker, Runtime
from pipeline.worker.contract import Contract
from pipeline.worker.settings import HostSettings
from tests.parts.load import Calling, running_load
from tests.parts.temporal import DevServer
from tests.parts.waiting import eventually

ALGORITHM = "interleavings"
DIGEST = "sha256:" + "b" * 64
SHORT = {"steps": [{"ramp": 50, "for": "200ms"}], "watch": "200ms", "inconclusive-limit": "0s"}
RACES = 4
MOST_STEPS = 14
"""That a release tells of, at least: a later push may begin at each, or when the earlier ones are over."""
LOST = (errors.Superseded, errors.OlderCommit, errors.ReleaseInFlight)
"""How a push may end that is not the newest, or that is made twice."""


@activity.defn
async def measure(clip: dict[str, list[float]]) -> dict[str, float]:
    return {"peak": max(clip["samples"])}


def a_build(number: int) -> Build:
    """The build of a commit; each is built upon the one of the number before."""
    sha = f"{number:012x}".ljust(40, "0")
    return Build(
        algorithm=ALGORITHM,
        build_id=build_id(sha, DIGEST),
        commit=Commit(sha=sha, time=datetime.now(UTC), author="R", subject="s", repo="r"),
        artifact=Environment(digest=DIGEST, python=Path("p"), code=(), source=Path("s")),
        contract=Contract(activities=()),
        host=HostSettings(task_queue=ALGORITHM, activities=("m",)),
        release=ReleaseOptions.model_validate(SHORT),
        gates=GateOptions.model_validate({"replay": {"calls": 0}}),
    )


def is_ancestor(older: str, newer: str) -> bool | None:
    return older <= newer


class Here:
    """The runtime of this process."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, tuple[Worker, asyncio.Task[None]]] = {}
        self._builds: dict[str, Build] = {}

    def start(self, build: Build, replicas: int) -> None:
        asyncio.run_coroutine_threadsafe(self._start(build), self._loop).result()

    async def _start(self, build: Build) -> None:
        self._builds[build.build_id] = build
        if build.build_id not in self._running:
            worker = Worker(
                self._client,
                task_queue=ALGORITHM,
                activities=[measure],
                identity=f"{ALGORITHM}/{build.build_id}@here",
                deployment_config=WorkerDeploymentConfig(
                    version=WorkerDeploymentVersion(ALGORITHM, build.build_id),
                    use_worker_versioning=True,
                    default_versioning_behavior=VersioningBehavior.PINNED,
                ),
            )
            self._running[build.build_id] = (worker, asyncio.create_task(worker.run()))

    def workers(self, algorithm: str) -> tuple[LocalWorker, ...]:
        return tuple(
            LocalWorker(build_id=each, replica=0, handle="here", alive=True, started=None)
            for each in tuple(self._running)
        )

    def stop(self, algorithm: str, build_id: str) -> None:
        asyncio.run_coroutine_threadsafe(self.end(build_id), self._loop).result()

    async def end(self, build_id: str) -> None:
        if build_id in self._running:
            worker, running = self._running.pop(build_id)
            await worker.shutdown()
            await running

    async def end_all(self) -> None:
        for each in tuple(self._running):
            await self.end(each)

    def log(self, algorithm: str, build_id: str, lines: int = 40) -> str:
        return ""

    def build(self, algorithm: str, build_id: str) -> Build | None:
        return self._builds.get(build_id)


class Told(Report):
    """Counts the steps that releases told of."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.started = 0

    def on_step(self, name: str, status: str, seconds: float) -> None:
        self.started += status == "started"
        super().on_step(name, status, seconds)


@dataclass(frozen=True)
class SessionHere(Session):
    """A command's session, on this process's runtime."""

    here: Runtime

    def runtime(self, name: str) -> Runtime:
        return self.here


@dataclass
class Races:
    """An algorithm that is live and called."""

    client: Client
    here: Here
    environment: dict[str, str]
    commits: int = 0
    ended: list[str] = field(default_factory=list)
    """How each push ended."""

    async def push(self, build: Build, told: Told) -> None:
        session = SessionHere(environment=self.environment, report=told, here=self.here)
        try:
            with shown(session) as story:
                delivered = await release_build(story, self.client, build, is_ancestor, Wishes())
            self.ended.append(delivered.decision)
        except LOST as lost:
            self.ended.append(type(lost).__name__)

    async def race(self, pushed: Sequence[int], moments: Sequence[int]) -> None:
        """Push commits; each one but the first begins when so many more steps were told of, or all are over."""
        told = Told()
        pushes: list[asyncio.Task[None]] = []
        for number, moment in zip(pushed, (0, *moments), strict=True):
            await self._reached(told, told.started + moment, pushes)
            build = a_build(self.commits + number)
            pushes.append(asyncio.create_task(self.push(build, told)))
        await asyncio.gather(*pushes)
        self.commits += max(pushed)
        await self.expect_only(a_build(self.commits).build_id)

    async def _reached(self, told: Told, steps: int, pushes: Sequence[asyncio.Task[None]]) -> None:
        async def is_reached() -> bool:
            return told.started >= steps or all(push.done() for push in pushes)

        await eventually(is_reached, within=120)

    async def expect_only(self, newest: str) -> None:
        """See that the newest is Current, and that nothing is left of the others."""
        seen = await Deployments(self.client).describe(ALGORITHM)
        assert seen is not None
        assert (seen.current, seen.ramping) == (newest, None)
        assert await host.running(self.client, ALGORITHM) is None
        alive = {worker.build_id for worker in self.here.workers(ALGORITHM)}
        assert newest in alive
        versions = {build: seen.version(build) for build in alive}
        left_over = [build for build, version in versions.items() if not version or not version.was_current]
        assert left_over == []


async def begun(server: DevServer) -> Races:
    environment = {**os.environ, **server.environment}
    client = await connection.connect(environment, identity="tests")
    return Races(client, Here(client), environment)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


async def until(over: asyncio.Event, races: Races) -> None:
    """Call the algorithm the whole time; every call is answered, and rightly."""
    async with running_load(races.client, Calling(algorithm=ALGORITHM, timeout=30.0), 2) as load:
        await over.wait()
        called = await load.finish()
    assert all(one.right and not one.wrong for one in called)


def test_however_pushes_race_the_newest_commit_is_current_and_nothing_is_left(
    temporal_server: DevServer, runner: asyncio.Runner
) -> None:
    races = runner.run(begun(temporal_server))
    runner.run(races.race([1], []))
    over = asyncio.Event()
    calling = runner.get_loop().create_task(until(over, races))

    @settings(max_examples=RACES, deadline=None, database=None, phases=[Phase.generate])
    @given(
        pushed=st.lists(st.integers(1, 3), min_size=2, max_size=3),
        moments=st.tuples(st.integers(0, MOST_STEPS), st.integers(0, MOST_STEPS)),
    )
    def interleaving(pushed: list[int], moments: tuple[int, int]) -> None:
        runner.run(races.race(pushed, moments[: len(pushed) - 1]))

    try:
        interleaving()
    finally:
        over.set()
        runner.run(asyncio.wait_for(calling, 120))
        runner.run(races.here.end_all())
    print(races.ended)
    assert races.ended.count("promoted") > RACES
