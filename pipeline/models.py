"""The nouns of the conduit: an algorithm's name, a commit, a build and its ID.

Everything here is a frozen value that checks itself. What comes from a research repo, a commit or an event is
text that a stranger may have written: it enters the program through one of these models or not at all.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from pipeline.errors import InvalidAlgorithmName
from pipeline.options.docker import DockerOptions
from pipeline.options.gates import GateOptions
from pipeline.options.release import ReleaseOptions
from pipeline.worker.contract import Contract
from pipeline.worker.settings import HostSettings

# Temporal takes far more than this, but the name is also a folder, a container label, an image name and a part
# of a workflow ID and of a visibility query: what all of them take without quoting is this.
ALGORITHM_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
BUILD_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
COMMIT_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# A host with an optional port, then the name: what docker itself takes, less the tag and the digest.
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+")


def algorithm_name(name: str) -> str:
    """Return `name` if it can name a deployment, a task queue, a folder and an image alike.

    Raises:
        ValueError: it cannot; the text says which characters can.
    """
    if not ALGORITHM_NAME.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r} cannot name an algorithm: use 1 to 63 lower-case letters, digits and hyphens, "
            "with a letter or digit at both ends"
        )
    return name


def algorithm_of(name: str) -> str:
    """Return a name that a person gave, if it can be an algorithm's.

    Raises:
        InvalidAlgorithmName: it cannot.
    """
    try:
        return algorithm_name(name)
    except ValueError as error:
        raise InvalidAlgorithmName(
            "That cannot be an algorithm's name.", why=f"{error}.", now="`conduit status` lists the names."
        ) from None


AlgorithmName = Annotated[str, AfterValidator(algorithm_name)]
BuildId = Annotated[str, StringConstraints(pattern=rf"^(?:{BUILD_ID.pattern})$")]
Sha = Annotated[str, StringConstraints(pattern=rf"^(?:{COMMIT_SHA.pattern})$")]
Digest = Annotated[str, StringConstraints(pattern=rf"^(?:{DIGEST.pattern})$")]
Repository = Annotated[str, StringConstraints(pattern=rf"^(?:{REPOSITORY.pattern})$", max_length=400)]


class Value(BaseModel):
    """A frozen model that takes no field it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Commit(Value):
    """One commit of a research repo."""

    sha: Sha
    time: datetime
    author: str = Field(max_length=200)
    subject: str = Field(max_length=200)
    repo: str = Field(max_length=500, description="URL of `origin`, without credentials, or the folder")
    path: str = Field(default="", description="folder of the algorithm inside the repo, empty at its root")

    @property
    def short(self) -> str:
        """The first 12 hexadecimal digits, as they stand in a build ID."""
        return self.sha[:12]


class Environment(Value):
    """A build's artifact for the `process` runtime: folders on this machine."""

    kind: Literal["environment"] = "environment"
    digest: Digest
    python: Path = Field(description="interpreter of the environment that holds the dependencies")
    code: tuple[Path, ...] = Field(description="folders put before the environment's own on sys.path")
    source: Path = Field(description="the exported commit; the workers' current folder")


class Image(Value):
    """A build's artifact for the `docker` and `kubernetes` runtimes: an image, by digest alone."""

    kind: Literal["image"] = "image"
    digest: Digest
    repository: Repository | Literal[""] = Field(description="host and name; empty if not pushed")

    @property
    def reference(self) -> str:
        """What is pulled: `host/name@sha256:…`; the image's ID where it was not pushed."""
        return f"{self.repository}@{self.digest}" if self.repository else self.digest


Artifact = Annotated[Environment | Image, Field(discriminator="kind")]


PLACEHOLDER = "placeholder-"
"""What the build ID of a placeholder begins with; no commit does."""


def build_id(sha: str, digest: str, *, placeholder: bool = False) -> str:
    """Name the build of a commit and an artifact: the same two always give the same ID."""
    derived = f"{sha[:12]}-{digest.removeprefix('sha256:')[:6]}"
    return PLACEHOLDER + derived if placeholder else derived


def is_placeholder(build_id: str) -> bool:
    """Whether a build only stands in for the algorithm. Its ID says so, as that is seen wherever a build is."""
    return build_id.startswith(PLACEHOLDER)


class Workers(Value):
    """What the commit's configuration asks for its workers."""

    replicas: int = Field(default=1, ge=1, le=1000)
    start_timeout: float = Field(default=300.0, gt=0, description="seconds to import, set up and register")
    docker: DockerOptions = DockerOptions()


BUILD_ENTRY = "conduit.build"
"""Under which a version's metadata holds its build record."""


class SmokeExample(Value):
    """A file of the repo's examples: what an activity is called with, and what of its output is known."""

    file: str = Field(max_length=200)
    activity: str
    input: JsonValue
    output: JsonValue = Field(default=None, description="the fields that are checked; null checks nothing")
    tolerance: float = Field(default=0.0, ge=0)


class Build(Value):
    """The build record: all that a release needs to know of one commit's artifact."""

    algorithm: AlgorithmName
    build_id: BuildId
    commit: Commit
    artifact: Artifact
    contract: Contract
    host: HostSettings
    workers: Workers = Workers()
    release: ReleaseOptions = ReleaseOptions()
    gates: GateOptions = GateOptions()
    examples: tuple[SmokeExample, ...] = ()

    def without_examples(self) -> "Build":
        """The record without what may be large and is for its gates alone."""
        return self.model_copy(update={"examples": ()})

    @model_validator(mode="after")
    def _id_is_derived(self) -> Self:
        derived = build_id(self.commit.sha, self.artifact.digest, placeholder=is_placeholder(self.build_id))
        if self.build_id != derived:
            raise ValueError(f"build ID {self.build_id!r} does not follow from its commit and digest")
        return self
