"""Where builds, environments and logs are kept on this machine."""

from collections.abc import Mapping
from pathlib import Path

import platformdirs


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
