"""Repos that are not the template, each taken the whole route to a workflow that gets an answer."""

import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import uv
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from pipeline.models import Build, Environment
from tests.integration.worker.research import Call
from tests.parts.conduit import Conduit
from tests.parts.repos import ACTIVITY, CONFIGURED, FILES, FIVE, LANGUAGE, PROJECT, make_repo, write
from tests.parts.temporal import DevServer

BUILD_SYSTEM = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
AT_ONCE = "\n[tool.conduit.release]\nsteps = []\nwatch = '0s'\n"
DATACLASSES = """\
from dataclasses import dataclass

from temporalio import activity


@dataclass
class Clip:
    samples: list[float]


@dataclass
class Level:
    peak: float


@activity.defn
async def measure(clip: Clip) -> Level:
    return Level(peak=max(clip.samples))
"""
OLDER_THAN_ALLOWED = "import importlib.metadata\nassert importlib.metadata.version('iniconfig') < '2.1'\n"
REAL_MODEL_TEST = """\
from activities import Text, detect


def test_the_model_knows_french() -> None:
    assert detect(Text(text="Le chat dort sur la chaise depuis ce matin.")).code == "fr"
"""

CLIP = {"samples": [0.5, 1.0]}
LEVEL = {"peak": 1.0}

REPOS = {
    "modules beside pyproject.toml": FILES,
    "a flat package": {
        "pyproject.toml": BUILD_SYSTEM + PROJECT + CONFIGURED,
        "measure/__init__.py": "",
        "measure/activities.py": ACTIVITY,
    },
    "a src package": {
        "pyproject.toml": BUILD_SYSTEM + PROJECT + CONFIGURED + 'activities = ["measure.activities"]\n',
        "src/measure/__init__.py": "",
        "src/measure/activities.py": ACTIVITY,
    },
    "src without a build system": {
        "pyproject.toml": PROJECT + CONFIGURED,
        "src/measure/__init__.py": "",
        "src/measure/activities.py": "from measure.model import *\n" + ACTIVITY,
        "src/measure/model.py": "",
    },
    "dataclasses and async def": {**FILES, "activities.py": DATACLASSES},
    "requirements.txt alone": {
        "pyproject.toml": CONFIGURED,
        "requirements.txt": "temporalio\n",
        "activities.py": ACTIVITY,
    },
    "five activities of both kinds": {**FILES, "activities.py": FIVE},
    "a folder of a monorepo": {
        "README.md": "many teams",
        **{f"teams/audio/measure/{name}": text for name, text in FILES.items()},
    },
}
FOLDERS = {"a folder of a monorepo": "teams/audio/measure"}


@pytest.fixture
def conduit(home: Path, temporal_server: DevServer) -> Iterator[Conduit]:
    conduit = Conduit(home=home, environment=temporal_server.environment)
    yield conduit
    conduit.clean_up()


@pytest.fixture
async def callers(temporal_client: Client) -> AsyncIterator[str]:
    """The task queue of workflows that call an activity once."""
    queue = f"callers-{uuid.uuid4()}"
    async with Worker(
        temporal_client, task_queue=queue, workflows=[Call], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        yield queue


class Delivered:
    """A repo's algorithm, live."""

    def __init__(self, conduit: Conduit, client: Client, callers: str, folder: Path, *options: str) -> None:
        told = conduit.good("deliver", "--project", str(folder), "--json", *options).json
        self.algorithm: str = told["algorithm"]
        build = conduit.runtime().build(self.algorithm, told["build_id"])
        assert build
        self.build: Build = build
        self._client, self._callers = client, callers

    @property
    def activities(self) -> list[str]:
        return [activity.name for activity in self.build.contract.activities]

    @property
    def source(self) -> Path:
        assert isinstance(self.build.artifact, Environment)
        return self.build.artifact.source

    async def call(self, activity: str, value: object) -> Any:
        arguments = [self.algorithm, activity, [value]]
        return await self._client.execute_workflow(
            Call.run, args=arguments, id=f"call-{uuid.uuid4()}", task_queue=self._callers
        )


def named(files: Mapping[str, str]) -> dict[str, str]:
    """The files with an algorithm of the test's own, whose releases take no time to judge."""
    name = f"measure-{uuid.uuid4().hex[:8]}"
    return {
        path: text.replace('algorithm = "measure"', f'algorithm = "{name}"') + AT_ONCE
        if path.endswith("pyproject.toml")
        else text
        for path, text in files.items()
    }


@pytest.mark.parametrize("layout", REPOS)
async def test_every_layout_is_delivered_and_answers(
    conduit: Conduit, temporal_client: Client, callers: str, tmp_path: Path, layout: str
) -> None:
    make_repo(tmp_path, named(REPOS[layout]))
    folder = tmp_path / FOLDERS.get(layout, "")
    live = Delivered(conduit, temporal_client, callers, folder, "--skip-tests")
    assert await live.call("measure", CLIP) == LEVEL
    others = [name for name in live.activities if name != "measure"]
    assert others == (["measure_0", "measure_1", "measure_2", "measure_3"] if "five" in layout else [])
    for number, name in enumerate(others):
        assert await live.call(name, CLIP) == {"peak": float(number)}
    assert live.build.commit.path == FOLDERS.get(layout, "")


def lock(folder: Path) -> None:
    subprocess.run([uv.find_uv_bin(), "lock", "--quiet"], cwd=folder, check=True)


async def test_a_lock_file_decides_the_versions(
    conduit: Conduit, temporal_client: Client, callers: str, tmp_path: Path
) -> None:
    held = PROJECT.replace('["temporalio"]', '["temporalio", "iniconfig<2.1"]')
    write(tmp_path, {"pyproject.toml": held + CONFIGURED})
    lock(tmp_path)
    # The lock was made when this was the newest allowed; what the project allows later does not count.
    make_repo(tmp_path, named({**FILES, "activities.py": OLDER_THAN_ALLOWED + ACTIVITY}))
    live = Delivered(conduit, temporal_client, callers, tmp_path, "--skip-tests")
    assert await live.call("measure", CLIP) == LEVEL
    assert (live.source / "uv.lock").exists()


async def test_a_real_model_that_a_package_carries(
    conduit: Conduit, temporal_client: Client, callers: str, tmp_path: Path
) -> None:
    declared = PROJECT.replace('["temporalio"]', '["temporalio", "py3langid"]')
    files = {
        "pyproject.toml": declared + CONFIGURED,
        "activities.py": LANGUAGE,
        "test_activities.py": REAL_MODEL_TEST,
    }
    make_repo(tmp_path, named(files))
    live = Delivered(conduit, temporal_client, callers, tmp_path)
    assert await live.call("detect", {"text": "Le chat dort sur la chaise depuis ce matin."}) == {
        "code": "fr"
    }
