"""What goes into and comes out of a release's workflows and activities; durations in seconds."""

from datetime import datetime

from pydantic import Field

from pipeline.models import AlgorithmName, Build, BuildId, Value

BUILD_ENTRY = "conduit.build"
QUARANTINE_ENTRY = "conduit.quarantine"


def workflow_id(algorithm: str) -> str:
    """The ID of an algorithm's release; that there can be only one of it is the lock."""
    return f"conduit/rollout/{algorithm}"


class Started(Value):
    """Which workers a build should have."""

    build: Build
    replicas: int = Field(ge=1)
    timeout: float = Field(gt=0, description="for import, setup and registration")


class ReleaseRequest(Value):
    """Route an algorithm's calls to a build."""

    build: Build
    replicas: int = Field(ge=1)
    start_timeout: float = Field(gt=0)
    by: str = Field(max_length=200)
    reason: str = Field(default="", max_length=1000)
    run_url: str = Field(default="", max_length=500)


class RollBackRequest(Value):
    """Route an algorithm's calls back to an earlier build and quarantine the present one."""

    target: Build
    bad: BuildId
    replicas: int = Field(ge=1)
    start_timeout: float = Field(gt=0)
    by: str = Field(max_length=200)
    reason: str = Field(default="", max_length=1000)
    run_url: str = Field(default="", max_length=500)


class Routed(Value):
    """What a release or a roll-back did."""

    algorithm: AlgorithmName
    build_id: BuildId
    previous: BuildId | None
    propagated: bool = Field(description="whether the server said that all task queues know it")
    by: str
    reason: str


class Reference(Value):
    """A build by name."""

    algorithm: AlgorithmName
    build_id: BuildId


class Routing(Value):
    """Where an algorithm's calls go."""

    current: BuildId | None
    ramping: BuildId | None


class Route(Value):
    """Make a build Current, if Current still is what the release began with; a null build makes none Current."""

    algorithm: AlgorithmName
    build_id: BuildId | None
    expected: BuildId | None


class Undo(Value):
    """Put the routing back to what a release began with, if its candidate is Current; `was` may be none."""

    candidate: Reference
    was: BuildId | None


class Registered(Value):
    """A version's own metadata as the conduit writes it."""

    build: Build
    by: str
    run_url: str = ""
    at: datetime


class Quarantine(Value):
    """Why a build must not be promoted again."""

    reason: str
    by: str
    at: datetime


class Quarantined(Value):
    """Put a build into quarantine."""

    build: Reference
    quarantine: Quarantine
