"""A small research repo under git, and what its commits are built into."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pipeline
from pipeline import git
from pipeline.build.context import Code
from pipeline.build.environment import prepare
from pipeline.build.image import ImageRequest
from pipeline.build.image_contract import contract_of
from pipeline.models import Build, Image, build_id
from pipeline.worker.contract import Contract
from pipeline.worker.settings import HostSettings
from tests.parts.base_image import BASE_IMAGE

ALGORITHM = "doubling"
# Any Python has them, and a network without a CA of its own takes them just as well.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

PYPROJECT = """\
[project]
name = "doubling"
version = "1"
requires-python = ">=3.11"
dependencies = []

[tool.conduit]
algorithm = "doubling"
"""

# BREAK comes from the worker's env file: one image serves all tests of what can happen to a worker.
ACTIVITIES = """\
import os

from pydantic import BaseModel
from temporalio import activity

if os.environ.get("BREAK") == "import":
    raise ImportError("the model's weights are of another version")


class Number(BaseModel):
    value: int


def load() -> None:
    if os.environ.get("BREAK") == "memory":
        [b"x" * 2**20 for _ in range(2**20)]


@activity.defn
def double(number: Number) -> Number:
    return Number(value=FACTOR * number.value)
"""


@dataclass
class ResearchRepo:
    """A repo in `folder / "repo"`; each commit is exported beside it."""

    folder: Path
    repository: str
    _requirements: Path | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.root.mkdir()
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("remote", "add", "origin", "https://example.org/team/doubling.git")
        self.commit({"pyproject.toml": PYPROJECT})
        self.commit_code(factor=2)

    @property
    def root(self) -> Path:
        return self.folder / "repo"

    def commit(self, files: dict[str, str]) -> None:
        for name, content in files.items():
            (self.root / name).write_text(content)
        self._git("add", ".")
        self._git(
            "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "-m", "change"
        )

    def commit_code(self, *, factor: int) -> None:
        self.commit({"doubling.py": ACTIVITIES.replace("FACTOR", str(factor))})

    def request(self, **changes: Any) -> ImageRequest:
        """What HEAD is built from."""
        repository = git.repository(self.root)
        commit = git.commit(repository, "HEAD")
        exported = self.folder / commit.sha
        if not exported.exists():
            git.export(repository, commit.sha, exported)
        asked = ImageRequest(
            algorithm=ALGORITHM,
            commit=commit,
            contract="sha256:" + 64 * "c",
            code=Code(source=exported, search=(exported,)),
            requirements=self._pinned(exported, git.tree(repository, commit.sha)),
            host=self._host(),
            settings=HostSettings(
                task_queue=ALGORITHM, activities=("doubling",), setup="doubling:load", grace=5
            ),
            repository=self.repository,
            base=BASE_IMAGE,
            ca=CERTIFICATES,
        )
        return ImageRequest.model_validate({**dict(asked), **changes})

    def record(self, image: Image) -> Build:
        """The build record of HEAD and its image."""
        request = self.request()
        return Build(
            algorithm=ALGORITHM,
            build_id=build_id(request.commit.sha, image.digest),
            commit=request.commit,
            artifact=image,
            contract=self.contract(image),
            host=request.settings,
        )

    def contract(self, image: Image) -> Contract:
        return contract_of(image, os.environ)

    def _pinned(self, exported: Path, tree: str) -> Path:
        # The dependencies never change here; they are pinned once.
        if self._requirements is None:
            self._requirements = prepare(exported, tree, self.folder / "home", os.environ).requirements
        return self._requirements

    def _host(self) -> Path:
        """The worker host as it was when the session began: somebody may be editing it."""
        package, copy = Path(pipeline.__file__).parent, self.folder / "host"
        if not copy.exists():
            (copy / "pipeline").mkdir(parents=True)
            shutil.copy(package / "__init__.py", copy / "pipeline")
            shutil.copytree(package / "worker", copy / "pipeline" / "worker")
        return copy

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)
