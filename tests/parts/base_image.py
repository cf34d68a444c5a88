"""The base image of the tests: Debian with Python, made here because no image can be pulled here."""

import os
import subprocess
import tempfile
from pathlib import Path

from tests.parts.cache import cache_folder
from tests.parts.docker_engine import SYSTEM_PATH

# The name that the shipped Dockerfile asks for when it is told nothing.
BASE_IMAGE = "python:3.11-slim"
# The Debian release whose Python that is.
SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")


def ensure_base_image(docker_host: str) -> str:
    """See to it that the engine has the base image, and return its name."""
    environment = {**os.environ, "DOCKER_HOST": docker_host, "PATH": SYSTEM_PATH}
    asked = subprocess.run(
        ["docker", "image", "inspect", BASE_IMAGE], env=environment, capture_output=True, check=False
    )
    if asked.returncode != 0:
        _run(["docker", "import", str(_root_file_system()), BASE_IMAGE], environment)
    return BASE_IMAGE


def _root_file_system() -> Path:
    """The image's files as a tar, from the cache or made anew."""
    tar = cache_folder() / f"base-{SUITE}.tar"
    if not tar.exists():
        with tempfile.TemporaryDirectory(dir=cache_folder()) as work:
            _make(Path(work) / "root", Path(work) / tar.name)
            (Path(work) / tar.name).rename(tar)
    return tar


def _make(root: Path, tar: Path) -> None:
    environment = {**os.environ, "PATH": SYSTEM_PATH}
    _run(
        ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root), _mirror()],
        environment,
    )
    _run(["tar", "--directory", str(root), "--create", "--file", str(tar), "."], environment)


def _mirror() -> str:
    """The Debian mirror that this machine is set up to use."""
    ask = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", f"Release: {SUITE}"]
    listed = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.splitlines()
    if not listed:
        raise RuntimeError(f"apt knows no mirror of Debian {SUITE}")
    return listed[0]


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
