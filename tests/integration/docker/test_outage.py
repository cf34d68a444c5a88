"""Releases of containers: a bad build is taken back, and the registry or the engine may be gone for a while."""

import asyncio
import contextlib
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound
from temporalio.client import Client

from pipeline import connection, errors
from pipeline.commands.session import about
from pipeline.deployments import Deployment, Deployments
from pipeline.models import Build, Image
from pipeline.rollout import host, workflow
from pipeline.rollout.messages import ReleaseRequest, Routed, workflow_id
from pipeline.runtimes import RuntimeOptions
from pipeline.runtimes.docker import DockerRuntime
from tests.actions.conftest import remove_workers
from tests.integration.docker.research import CERTIFICATES
from tests.integration.rollout.calls import call_once
from tests.parts.conduit import Conduit, Repo, research_repo
from tests.parts.load import Called, Calling, Load, running_load
from tests.parts.registry import Registry
from tests.parts.repos import ACTIVITY, FILES
from tests.parts.temporal import DevServer
from tests.parts.waiting import eventually

SETTINGS = """\
runtime = "docker"
test = []
grace = "1s"
gates.replay.calls = 0
release.steps = [{ ramp = 50, for = "3s" }]
release.inconclusive-limit = "8s"
release.watch = "1s"
release.heal-limit = "20s"
"""
LATE = 180.0
WORKFLOWS = 8

pytestmark = pytest.mark.usefixtures("base_image", "buildx")


@dataclass
class Stage:
    """An algorithm whose images come from a registry."""

    conduit: Conduit
    repo: Repo
    engine: str
    server: DevServer
    told: list[str] = field(default_factory=list)

    def build(self, body: str) -> Build:
        """Commit, build and push."""
        module = ACTIVITY.replace("    return Level", f"    {body}\n    return Level")
        self.repo.commit({"activities.py": module, "README.md": uuid.uuid4().hex})
        made = self.conduit.good("build", "--project", str(self.repo.folder), "--json")
        build = Build.model_validate_json(made.out)
        self._forget(build)
        return build

    def _forget(self, build: Build) -> None:
        """Leave the image to the registry alone, as if another engine had built it."""
        assert isinstance(build.artifact, Image)
        with closing(docker.DockerClient(self.engine)) as client, contextlib.suppress(ImageNotFound):
            client.images.remove(build.artifact.reference, force=True)

    async def client(self) -> Client:
        return await connection.connect(self.server.environment, identity="tests")

    async def release(self, client: Client, build: Build, engine: str | None = None) -> Routed:
        """Release in this process, as `conduit release` would; `engine` is the way there, if not the straight one."""
        request = ReleaseRequest(build=build, replicas=1, start_timeout=120, by="tests")
        options = RuntimeOptions(
            home=self.conduit.home,
            connection=self.server.environment,
            environment={**os.environ, "DOCKER_HOST": engine or self.engine},
        )
        self.told.clear()
        return await host.release(
            client,
            request,
            DockerRuntime(options),
            lambda older, newer: None,
            lambda name, status, _: self.told.append(f"{name} {status}"),
        )

    async def seen(self, client: Client) -> Deployment:
        found = await Deployments(client).describe(self.repo.algorithm)
        assert found is not None
        return found

    def running(self) -> dict[str, int]:
        """Running containers by build."""
        mine: dict[str, str | list[str] | bool] = {"label": f"conduit.algorithm={self.repo.algorithm}"}
        with closing(docker.DockerClient(self.engine)) as client:
            builds = [one.labels["conduit.build-id"] for one in client.containers.list(filters=mine)]
        return {build: builds.count(build) for build in builds}


@pytest.fixture(scope="module")
def stage(
    temporal_server: DevServer,
    registry: Registry,
    engine: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """A good build is Current and was called."""
    place = {"CONDUIT_REGISTRY": f"{registry.address}/team", "CONDUIT_CA": str(CERTIFICATES)}
    conduit = Conduit(tmp_path_factory.mktemp("home"), {**temporal_server.environment, **place})
    algorithm = f"outage-{uuid.uuid4().hex[:8]}"
    repo = research_repo(tmp_path_factory.mktemp("repo") / algorithm, algorithm, FILES, SETTINGS)
    try:
        made = Stage(conduit, repo, engine, temporal_server)
        asyncio.run(first(made))
        yield made
    finally:
        remove_workers(algorithm)
        conduit.clean_up()


async def first(stage: Stage) -> None:
    client = await stage.client()
    await stage.release(client, stage.build("pass"))
    await call_once(stage.server.address, stage.repo.algorithm)


@asynccontextmanager
async def under_load(stage: Stage, client: Client, called: list[Called]) -> AsyncIterator[Load]:
    """Call the algorithm; what each workflow was answered is in `called` afterwards."""
    calling = Calling(algorithm=stage.repo.algorithm, pause=0.1)
    async with running_load(client, calling, WORKFLOWS) as load:
        await eventually(load.answers, within=LATE)
        yield load
        called += await load.finish()


async def test_a_bad_build_is_taken_back_with_its_containers(stage: Stage) -> None:
    client, called = await stage.client(), list[Called]()
    good = (await stage.seen(client)).current
    bad = await asyncio.to_thread(stage.build, "raise RuntimeError('no weights')")
    async with under_load(stage, client, called):
        with pytest.raises(errors.BuildTurnedBad, match="turned bad at 50 %"):
            await stage.release(client, bad)
    assert all(one.right and not one.wrong for one in called)
    seen = await stage.seen(client)
    assert (seen.current, seen.ramping) == (good, None)
    assert (await about(Deployments(client), seen.name, bad.build_id)).quarantine is not None
    assert await asyncio.to_thread(stage.running) == {good: 1}


async def test_a_registry_that_is_away_stops_a_release_until_it_is_back(
    stage: Stage, registry: Registry
) -> None:
    client, called = await stage.client(), list[Called]()
    before = await stage.seen(client)
    build = await asyncio.to_thread(stage.build, "pass")
    registry.stop()
    try:
        async with under_load(stage, client, called):
            with pytest.raises(errors.NoLiveWorker) as refused:
                await stage.release(client, build)
        command = ("build", "--project", str(stage.repo.folder))
        not_pushed = await asyncio.to_thread(stage.conduit, *command)
    finally:
        registry.start()
    assert "connection refused" in refused.value.why
    assert "its registry" in refused.value.now
    assert not_pushed.code == errors.PushFailed.exit_code, not_pushed.err
    assert "cannot be reached" in not_pushed.err
    assert await stage.seen(client) == before
    assert await asyncio.to_thread(stage.running) == {before.current: 1}
    assert all(one.right and not one.wrong for one in called)
    assert (await stage.release(client, build)).build_id == build.build_id
    assert (await asyncio.to_thread(stage.running)).keys() == {before.current, build.build_id}


@dataclass
class Line:
    """A way to the engine that can be cut: its containers go on, but nobody can ask for them."""

    socket: Path
    engine: str

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    def mend(self) -> None:
        self.socket.symlink_to(self.engine.removeprefix("unix://"))

    def cut(self) -> None:
        self.socket.unlink()


@pytest.fixture
def line(engine: str) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folder is too deep for a socket's path
        made = Line(Path(folder) / "docker.sock", engine)
        made.mend()
        yield made


async def is_missed(client: Client, algorithm: str) -> bool:
    """Whether a step of the release waits for the engine."""
    seen = await client.get_workflow_handle(workflow_id(algorithm)).describe()
    waiting = seen.raw_description.pending_activities
    kinds = [one.last_failure.application_failure_info.type for one in waiting]
    return errors.RuntimeUnavailable.__name__ in kinds


@asynccontextmanager
async def cut_in_mid_ramp(
    stage: Stage, client: Client, build: Build, line: Line
) -> AsyncIterator[asyncio.Task[Routed]]:
    """Release, and take the engine away as soon as the build is judged at calls."""

    async def is_judged() -> bool:
        return any(told.startswith("judge 50 %") for told in stage.told)

    stage.told.clear()
    released = asyncio.create_task(stage.release(client, build, line.address))
    try:
        await eventually(is_judged, within=LATE)
        line.cut()
        await eventually(lambda: is_missed(client, stage.repo.algorithm))
        yield released
    finally:
        released.cancel()
        await asyncio.wait({released})


async def test_an_engine_that_is_away_for_a_while_delays_a_release(stage: Stage, line: Line) -> None:
    client, called = await stage.client(), list[Called]()
    build = await asyncio.to_thread(stage.build, "pass")
    async with under_load(stage, client, called), cut_in_mid_ramp(stage, client, build, line) as released:
        line.mend()
        assert (await released).build_id == build.build_id
    seen = await stage.seen(client)
    assert (seen.current, seen.ramping) == (build.build_id, None)
    assert all(one.right and not one.wrong for one in called)


async def test_an_engine_that_stays_away_puts_production_back(
    stage: Stage, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, called = await stage.client(), list[Called]()
    before = (await stage.seen(client)).current
    build = await asyncio.to_thread(stage.build, "pass")
    async with under_load(stage, client, called):
        monkeypatch.setattr(workflow, "MOST", timedelta(seconds=10))
        async with cut_in_mid_ramp(stage, client, build, line) as released:
            with pytest.raises(errors.RuntimeUnavailable, match="does not answer"):
                await released
        seen = await stage.seen(client)
        assert (seen.current, seen.ramping) == (before, None)
        assert (await about(Deployments(client), seen.name, build.build_id)).quarantine is None
        monkeypatch.undo()
        line.mend()
        assert (await stage.release(client, build, line.address)).build_id == build.build_id
    assert all(one.right and not one.wrong for one in called)
