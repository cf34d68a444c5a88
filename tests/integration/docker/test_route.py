"""The whole route with the `docker` runtime: an image in a registry with a password, live, rolled back, refused."""

import asyncio
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from pipeline import errors
from pipeline.models import Build, Image
from tests.integration.docker.research import CERTIFICATES
from tests.integration.route.calling import Caller, serving_caller
from tests.parts.conduit import Conduit, Outcome, Repo, research_repo
from tests.parts.registry import Registry
from tests.parts.repos import ACTIVITY, FILES, PROJECT
from tests.parts.temporal import DevServer
from tests.parts.waiting import eventually
from tests.unit.github.test_context import ON_GITHUB

MARK = "BASE_OF=engineers"
DECLARED = (
    ACTIVITY.replace("from temporalio import activity\n", "")
    .replace("@activity.defn\n", "")
    .replace("return Level(peak=max(clip.samples))", "...")
)
IN_DOCKER = 'runtime = "docker"\ntest = []\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine that builds."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def conduit(
    home: Path, temporal_server: DevServer, registry: Registry, base_image: str, buildx: None
) -> Conduit:
    """The command line as a CI job has it, logged in to the registry."""
    place = {"CONDUIT_REGISTRY": f"{registry.address}/team", "CONDUIT_CA": str(CERTIFICATES)}
    return Conduit(home=home, environment={**temporal_server.environment, **place})


@pytest.fixture
def elsewhere(conduit: Conduit, tmp_path: Path) -> Conduit:
    """Another machine that reaches the same engine, registry and Temporal."""
    return Conduit(home=tmp_path / "elsewhere", environment=conduit.environment)


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repo]:
    algorithm = f"measure-{uuid.uuid4().hex[:8]}"
    yield research_repo(tmp_path / algorithm, algorithm, FILES, IN_DOCKER)
    for container in containers(algorithm):
        container.remove(force=True)


@pytest.fixture
def own_base(base_image: str) -> Iterator[str]:
    """A base image of a team's own, known by a variable that it sets."""
    client = docker.from_env()
    name, tag = f"base-{uuid.uuid4().hex[:8]}", "1"
    container = client.containers.create(base_image, ["true"])
    container.commit(repository=name, tag=tag, changes=f"ENV {MARK}")
    container.remove()
    yield f"{name}:{tag}"
    client.images.remove(f"{name}:{tag}", force=True)


def without_place(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Where nothing says where images go and what they are made with."""
    return {name: value for name, value in environment.items() if not name.startswith("CONDUIT_")}


def containers(algorithm: str) -> list[Any]:
    label = f"conduit.algorithm={algorithm}"
    return docker.from_env().containers.list(all=True, filters={"label": label})


def running(algorithm: str) -> dict[str, int]:
    """Running containers by build."""
    builds = [c.labels["conduit.build-id"] for c in containers(algorithm) if c.status == "running"]
    return {build: builds.count(build) for build in builds}


async def answered_by(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The builds that answered a workflow's calls, in their order, by the identity of the workers."""
    builds = []
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            builds.append(event.activity_task_started_event_attributes.identity.split("/")[1].split("@")[0])
    return builds


def built(conduit: Conduit, repo: Repo, record: Path) -> Build:
    """Build HEAD as the first job of a push does."""
    conduit.good("build", "--project", str(repo.folder), "--output", str(record))
    return Build.model_validate_json(record.read_bytes())


def release(conduit: Conduit, record: Path, *options: str) -> Outcome:
    return conduit("release", str(record), "--json", *options)


async def test_running_workflows_follow_images_and_a_roll_back_from_another_machine(
    conduit: Conduit, elsewhere: Conduit, repo: Repo, temporal_client: Client, tmp_path: Path
) -> None:
    async with serving_caller(temporal_client) as queue:
        delivered = await asyncio.to_thread(conduit.good, "deliver", "--project", str(repo.folder), "--json")
        first = delivered.json["build_id"]
        handle = await temporal_client.start_workflow(
            Caller.run, repo.algorithm, id=f"caller-{uuid.uuid4()}", task_queue=queue
        )

        async def last_answer_is(build: str) -> bool:
            return (await answered_by(handle))[-1:] == [build]

        await eventually(lambda: last_answer_is(first), within=60)
        [container] = containers(repo.algorithm)
        first_image = container.attrs["Config"]["Image"]
        sha = repo.commit({"activities.py": ACTIVITY.replace("max(", "min(")})
        record = tmp_path / "build.json"
        second = await asyncio.to_thread(built, conduit, repo, record)
        assert isinstance(second.artifact, Image)
        assert second.artifact.repository == f"{conduit.environment['CONDUIT_REGISTRY']}/{repo.algorithm}"
        released = await asyncio.to_thread(
            release, elsewhere, record, "--project", str(repo.folder), "--commit", sha
        )
        assert (released.code, released.json["decision"]) == (0, "promoted"), released.err
        await eventually(lambda: last_answer_is(second.build_id), within=60)
        # Built once more it has the same digest, and so is the very build that is live.
        again = await asyncio.to_thread(conduit, "deliver", "--project", str(repo.folder), "--json")
        assert (again.code, again.json["decision"]) == (0, "unchanged"), again.err
        assert again.json["build_id"] == second.build_id

        # Nothing of the first build is left on the engine; the metadata and the registry have it.
        container.remove(force=True)
        docker.from_env().images.remove(first_image, force=True)
        rolled = await asyncio.to_thread(
            elsewhere.good, "rollback", repo.algorithm, "--reason", "worse", "--json"
        )
        assert rolled.json["build_id"] == first
        await eventually(lambda: last_answer_is(first), within=60)
        await handle.signal(Caller.finish)
        assert await handle.result() > 0
    assert running(repo.algorithm) == {first: 1, second.build_id: 1}


async def test_a_placeholder_in_a_container_gives_way_to_an_image(
    conduit: Conduit, repo: Repo, own_base: str, temporal_client: Client, tmp_path: Path
) -> None:
    declared = tmp_path / "declared.py"
    declared.write_text(DECLARED)
    registry = conduit.environment["CONDUIT_REGISTRY"].replace("team", "engineers")
    place = ("--registry", registry, "--base", own_base, "--ca", str(CERTIFICATES))
    command = ("placeholder", repo.algorithm, "--contract", str(declared), "--runtime", "docker", *place)
    engineer = Conduit(home=tmp_path / "engineer", environment=without_place(conduit.environment))
    placed = (await asyncio.to_thread(engineer.good, *command, "--json")).json["build_id"]
    [container] = containers(repo.algorithm)
    assert container.attrs["Config"]["Image"].startswith(f"{registry}/{repo.algorithm}@")
    assert MARK in container.attrs["Config"]["Env"]

    async with serving_caller(temporal_client) as queue:
        handle = await temporal_client.start_workflow(
            Caller.run, repo.algorithm, id=f"caller-{uuid.uuid4()}", task_queue=queue
        )

        async def last_answer_is(build: str) -> bool:
            return (await answered_by(handle))[-1:] == [build]

        await eventually(lambda: last_answer_is(placed), within=60)
        delivered = await asyncio.to_thread(conduit.good, "deliver", "--project", str(repo.folder), "--json")
        real = delivered.json["build_id"]
        assert delivered.json["previous"] == placed
        await eventually(lambda: last_answer_is(real), within=60)
        await handle.signal(Caller.finish)
        assert await handle.result() > 0
    assert running(repo.algorithm) == {real: 1}


def test_a_container_that_dies_shows_its_log_and_leaves_production_alone(
    conduit: Conduit, repo: Repo
) -> None:
    good = conduit.good("deliver", "--project", str(repo.folder), "--json").json["build_id"]
    table = f"[tool.conduit]\nalgorithm = '{repo.algorithm}'\nsetup = 'model:load'\n{IN_DOCKER}"
    repo.commit(
        {
            "pyproject.toml": f"{PROJECT}{table}[tool.conduit.docker]\nmax-restarts = 1\n",
            "model.py": "def load() -> None:\n    raise OSError('the weights are nowhere to be found')\n",
        }
    )
    failed = conduit("deliver", "--project", str(repo.folder), "--json")
    assert (failed.code, failed.json["error"]) == (errors.SetupFailed.exit_code, "SetupFailed"), failed.err
    assert "the weights are nowhere to be found" in failed.err
    status = conduit.good("status", repo.algorithm, "--json").json
    assert status["current"]["build_id"] == good
    assert running(repo.algorithm) == {good: 1}


def test_what_goes_wrong_with_an_image_has_its_own_exit_code_and_is_in_the_summary(
    conduit: Conduit, repo: Repo, registry: Registry, tmp_path: Path
) -> None:
    wrong = tmp_path / "docker"
    shutil.copytree(os.environ["DOCKER_CONFIG"], wrong, symlinks=True)
    credentials = {"auths": {registry.address: {"auth": "Y29uZHVpdDp3cm9uZw=="}}}
    (wrong / "config.json").write_text(json.dumps(credentials))
    nowhere = f"unix://{tmp_path}/docker.sock"

    def fails(expected: type[errors.ConduitError], words: str, **surroundings: str) -> None:
        job = job_of_github(tmp_path)
        told = Conduit(home=conduit.home, environment={**conduit.environment, **job, **surroundings})
        failed = told("build", "--project", str(repo.folder), "--json")
        assert (failed.code, failed.json["error"]) == (expected.exit_code, expected.__name__), failed.err
        assert words in failed.err
        assert words in Path(job["GITHUB_STEP_SUMMARY"]).read_text()

    fails(errors.PushFailed, "refused the image", DOCKER_CONFIG=str(wrong))
    fails(errors.RuntimeUnavailable, "does not answer", DOCKER_HOST=nowhere)
    repo.commit(
        {
            "pyproject.toml": (repo.folder / "pyproject.toml").read_text()
            + "[tool.conduit.image]\ndockerfile = 'Dockerfile'\n",
            "Dockerfile": "ARG BASE\nFROM ${BASE}\nRUN echo fetching weights && exit 7\n",
        }
    )
    fails(errors.BuildFailed, "fetching weights")


def test_an_image_that_cannot_be_pulled_or_run_is_not_released(
    conduit: Conduit, elsewhere: Conduit, repo: Repo, tmp_path: Path
) -> None:
    record = tmp_path / "build.json"
    build = built(conduit, repo, record)
    assert isinstance(build.artifact, Image)
    docker.from_env().images.remove(build.artifact.reference, force=True)
    empty = tmp_path / "logged-out"
    empty.mkdir()
    logged_out = Conduit(
        home=elsewhere.home, environment={**elsewhere.environment, "DOCKER_CONFIG": str(empty)}
    )
    refused = release(logged_out, record)
    assert refused.code == errors.NoLiveWorker.exit_code, refused.err
    assert "no basic auth credentials" in refused.err
    nowhere = {**elsewhere.environment, "DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}
    away = release(Conduit(home=elsewhere.home, environment=nowhere), record)
    assert away.code == errors.RuntimeUnavailable.exit_code, away.err
    assert running(repo.algorithm) == {}


def job_of_github(folder: Path) -> dict[str, str]:
    """A job of GitHub Actions without a token, that writes its summary and outputs to new files."""
    files = folder / f"job-{uuid.uuid4().hex[:8]}"
    files.mkdir()
    written = {"GITHUB_STEP_SUMMARY": str(files / "summary"), "GITHUB_OUTPUT": str(files / "output")}
    return {**ON_GITHUB, "GITHUB_TOKEN": "", **written}
