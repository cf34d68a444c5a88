"""A real Docker Engine: the one that answers already, else a `dockerd` of our own."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil

from tests.parts.cache import cache_folder
from tests.parts.waiting import eventually_sync

START_DEADLINE = 60.0
STOP_DEADLINE = 30.0
# Where Debian keeps dockerd and iptables; an ordinary user's PATH lacks it.
SYSTEM_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


class NoEngine(Exception):
    """No Docker Engine answers and none can be started here; the text says why."""


@contextlib.contextmanager
def docker_engine() -> Iterator[str]:
    """Give the address of an engine, as `DOCKER_HOST` takes it.

    Raises:
        NoEngine: none is to be had.
    """
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if _answers(address):
        yield address
    else:
        with _own_engine(cache_folder() / "engine") as own:
            yield own


@contextlib.contextmanager
def _own_engine(folder: Path) -> Iterator[str]:
    """Share one `dockerd` among the test sessions of this machine; the last to leave stops it."""
    _see_that_it_can_start()
    folder.mkdir(exist_ok=True)
    address = f"unix://{folder}/docker.sock"
    with (folder / "users.lock").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        if not _answers(address):
            _start(folder, address)
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield address
        finally:
            if _is_last(users):
                _stop(folder)


def _see_that_it_can_start() -> None:
    if shutil.which("dockerd", path=SYSTEM_PATH) is None:
        raise NoEngine("no Docker Engine answers, and there is no dockerd to start: run .ci/install-parts")
    if os.geteuid() != 0:
        raise NoEngine("no Docker Engine answers, and only root can start one")


def _start(folder: Path, address: str) -> None:
    command = [
        *("dockerd", "--host", address, "--pidfile", str(folder / "pid")),
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
    ]
    with (folder / "log").open("wb") as log:
        # A session of its own: Ctrl-C is for the tests, which still have containers to stop.
        process = subprocess.Popen(
            command,
            env={**os.environ, "PATH": SYSTEM_PATH},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    eventually_sync(lambda: _answers(address) or process.poll() is not None, within=START_DEADLINE)
    if process.poll() is not None:
        raise NoEngine(f"dockerd did not start:\n{(folder / 'log').read_text(errors='replace')[-3000:]}")


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
        process = psutil.Process(int((folder / "pid").read_text()))
        if str(folder / "pid") in process.cmdline():
            process.terminate()
            process.wait(STOP_DEADLINE)


def _answers(address: str) -> bool:
    docker = shutil.which("docker", path=SYSTEM_PATH)
    if docker is None:
        return False
    return (
        subprocess.run([docker, "--host", address, "info"], capture_output=True, check=False).returncode == 0
    )
