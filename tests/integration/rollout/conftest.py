"""One machine, one good build and the load of a test, for all tests of releases."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import Client

from pipeline import connection
from pipeline.build import local
from pipeline.commands.control import progress_of
from pipeline.commands.session import About, about
from pipeline.deployments import Deployment, Deployments
from pipeline.models import Build
from pipeline.project import at_commit
from pipeline.rollout import host
from pipeline.rollout.messages import Progress, ReleaseRequest, Routed, workflow_id
from pipeline.runtimes import RuntimeOptions
from pipeline.runtimes.process import ProcessRuntime
from tests.integration.rollout.calls import call_once
from tests.integration.rollout.recording import keep, replayer
from tests.parts.conduit import Conduit, Repo, research_repo
from tests.parts.repos import ACTIVITY, FILES
from tests.parts.temporal import DevServer

# Gates would find most of what these tests break before any production call: they are not what is tested here.
SETTINGS = """\
test = []
grace = "1s"
gates.replay.calls = 0
release.steps = [{ ramp = 50, for = "3s" }]
release.inconclusive-limit = "20s"
release.watch = "8s"
release.heal-limit = "20s"
"""
HEAD, _, _ = ACTIVITY.partition("@activity.defn")
BODY = """\
import asyncio
import os
import pathlib
import random
import signal
import time

CALLS = 0
LEAKED = []
REVISION = {revision!r}


@activity.defn
{kind} measure(clip: Clip) -> Level:
    global CALLS
    CALLS += 1
    {body}
    return Level(peak=max(clip.samples))
"""


def activity(body: str, *, kind: str = "def", revision: str = "") -> Mapping[str, str]:
    """The research repo's module; each call does `body` before it answers rightly."""
    return {"activities.py": HEAD + BODY.format(body=body, kind=kind, revision=revision)}


GOOD = activity("time.sleep(0.05)")


def no_order(older: str, newer: str) -> bool | None:
    return None


@dataclass
class Stage:
    """A research repo on a machine and a server."""

    conduit: Conduit
    repo: Repo
    server: DevServer
    record: bool = False

    @property
    def algorithm(self) -> str:
        return self.repo.algorithm

    def deliver(self, *options: str) -> str:
        told = self.conduit.good("deliver", "--project", str(self.repo.folder), "--json", *options)
        return str(told.json["build_id"])

    async def build(self, files: Mapping[str, str]) -> Build:
        """Commit and build."""
        self.repo.commit(files)
        project = at_commit(self.repo.folder, None)
        return await asyncio.to_thread(local.build, project, self.conduit.home, dict(os.environ))

    async def client(self) -> Client:
        return await connection.connect(self.server.environment, identity="tests")

    def runtime(self) -> ProcessRuntime:
        options = RuntimeOptions(
            home=self.conduit.home, connection=self.server.environment, environment=dict(os.environ)
        )
        return ProcessRuntime(options)

    async def release(self, client: Client, build: Build, steps: list[str] | None = None) -> Routed:
        """Release in this process, as `conduit deliver` would."""
        request = ReleaseRequest(
            build=build, replicas=1, start_timeout=build.workers.start_timeout, by="tests"
        )
        told = [] if steps is None else steps
        return await host.release(
            client, request, self.runtime(), no_order, lambda name, status, _: told.append(f"{name} {status}")
        )

    async def seen(self, client: Client) -> Deployment:
        seen = await Deployments(client).describe(self.algorithm)
        assert seen is not None
        return seen

    async def about(self, client: Client, build_id: str) -> About:
        return await about(Deployments(client), self.algorithm, build_id)

    async def keep(self, client: Client, name: str, run_id: str | None = None) -> None:
        """See that the latest release, or that run, is replayed; keep its history where that is asked for."""
        await keep(client, workflow_id(self.algorithm), run_id, name, record=self.record)

    async def progress(self, client: Client) -> Progress | None:
        """What the latest release told last."""
        return await progress_of(await client.get_workflow_handle(workflow_id(self.algorithm)).describe())


async def replay_all(stage: Stage) -> None:
    """Replay whatever came of this file's releases, holds and roll-backs, as a worker that takes them over would."""
    client = await stage.client()
    query = f"WorkflowId = '{workflow_id(stage.algorithm)}' AND ExecutionStatus != 'Running'"
    runs = [run async for run in client.list_workflows(query)]
    assert runs
    for run in runs:
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        await replayer().replay_workflow(history)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-releases",
        action="store_true",
        help="keep the releases of these tests in tests/unit/rollout/histories",
    )


@pytest.fixture(scope="session")
def release_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One machine for these tests: they share environments."""
    return tmp_path_factory.mktemp("releases")


@pytest.fixture(scope="module")
def stage(
    release_home: Path,
    temporal_server: DevServer,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Stage]:
    """A good build is Current and was called, so that releases have a ramp; each file has its own algorithm.

    A file may have a repo of its own in `RESEARCH` and settings in `SETTINGS`.
    """
    files, settings = getattr(request.module, "RESEARCH", GOOD), getattr(request.module, "SETTINGS", SETTINGS)
    algorithm = request.module.__name__.rpartition(".")[2].replace("_", "-")
    conduit = Conduit(home=release_home, environment=temporal_server.environment)
    repo = research_repo(tmp_path_factory.mktemp(algorithm) / "repo", algorithm, {**FILES, **files}, settings)
    # The option is unknown where pytest was not given this folder: then nothing is recorded.
    record = request.config.getoption("--record-releases", default=False)
    made = Stage(conduit, repo, temporal_server, record=bool(record))
    try:
        made.deliver()
        asyncio.run(call_once(temporal_server.address, algorithm))
        yield made
        asyncio.run(replay_all(made))
    finally:
        conduit.clean_up()
