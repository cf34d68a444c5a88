"""Where workers run. A runtime is a module here that fulfils `Runtime`, and a line in `RUNTIMES`."""

import importlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol, cast

from pipeline.models import Build, BuildId, Value


class RuntimeOptions(Value):
    """What a runtime is told about this machine and this release; each reads what concerns it."""

    home: Path
    connection: Mapping[str, str]
    """The TEMPORAL_* variables that workers get. Secrets: never logged, never in an image."""
    environment: Mapping[str, str] = {}
    """What else workers inherit where they share this machine."""
    env_file: Path | None = None
    """What containers find in their environment beside what the build's configuration names; this wins."""


class LocalWorker(Value):
    """One worker as its runtime sees it; whether Temporal sees it too is told by heartbeats."""

    build_id: BuildId
    replica: int
    handle: str
    """What a person would look it up by: `pid 4711`, a container's short ID, a pod's name."""
    alive: bool
    started: datetime | None = None
    ended_because: str = ""
    """Why a dead worker ended, if the runtime knows: `exit code 1`, `killed (out of memory)`."""


def dead(workers: Iterable[LocalWorker], build_id: str) -> list[LocalWorker]:
    """Those of a build that ended."""
    return [worker for worker in workers if worker.build_id == build_id and not worker.alive]


class Runtime(Protocol):
    """Starts, finds and stops the workers of builds. A method called again does nothing twice."""

    def start(self, build: Build, replicas: int) -> None:
        """See to it that `replicas` workers of the build are alive; returns without waiting for warm-up.

        Raises:
            RuntimeUnavailable: the engine does not answer.
            NoLiveWorker: the build's artifact is not to be had any more.
        """
        ...

    def workers(self, algorithm: str) -> tuple[LocalWorker, ...]:
        """All workers of an algorithm that this runtime knows of, dead ones too, oldest first."""
        ...

    def stop(self, algorithm: str, build_id: str) -> None:
        """Stop a build's workers, with the build's grace for running activities; wait for the end."""
        ...

    def log(self, algorithm: str, build_id: str, lines: int = 40) -> str:
        """The end of the log of the build's workers; of the one that ended last, if any ended."""
        ...

    def build(self, algorithm: str, build_id: str) -> Build | None:
        """The record of a build that this runtime could start again, or None."""
        ...


RUNTIMES = {
    "process": "pipeline.runtimes.process:ProcessRuntime",
    "docker": "pipeline.runtimes.docker:DockerRuntime",
}

OF_ARTIFACT = {"environment": "process", "image": "docker"}


def runtime(name: str, options: RuntimeOptions) -> Runtime:
    """Make the runtime of that name; imports its module, and so its SDK, only now."""
    module, _, kind = RUNTIMES[name].partition(":")
    return cast(Runtime, getattr(importlib.import_module(module), kind)(options))
