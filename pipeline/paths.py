"""Where builds, environments and logs are kept on this machine."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from pipeline.command import interruptible


def home(environment: Mapping[str, str]) -> Path:
    """The conduit's own folder: `CONDUIT_HOME`, else what the system calls a user's data folder."""
    chosen = environment.get("CONDUIT_HOME")
    return Path(chosen).resolve() if chosen else platformdirs.user_data_path("conduit")


def builds(home: Path, algorithm: str) -> Path:
    """The folder of an algorithm's builds."""
    return home / "builds" / algorithm


def build(home: Path, algorithm: str, build_id: str) -> Path:
    """The folder of one build."""
    return builds(home, algorithm) / build_id


def environments(home: Path) -> Path:
    """The folder of the environments that builds share."""
    return home / "environments"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock that excludes every other process of this machine that asks for the same file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        with interruptible():
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it when its holder dies
        yield
