"""`conduit dev`: a Temporal server and the sample workflows' worker on this machine, in the foreground."""

import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path

from pipeline import paths
from pipeline.devserver import Child, DevServer, find_binary, sample_worker

PAUSE = 0.5
"""Seconds between two looks at the children."""


def dev(*, port: int = 7233, ui_port: int = 8233, folder: Path, say: Callable[[str], None]) -> None:
    """Run both until Ctrl-C, SIGTERM or the end of the terminal, then stop both.

    Args:
        port: of the server, on this machine alone.
        ui_port: of its pages.
        folder: keeps the database from one time to the next, and the logs.
        say: writes a line for the user.

    Raises:
        ServerFailed: the server did not start, or one of the two ended.
    """
    environment = dict(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    binary = find_binary(paths.home(environment) / "temporal")
    try:
        with (
            DevServer(binary, folder, environment, port, ui_port) as server,
            sample_worker(server) as worker,
        ):
            for line in greeting(server):
                say(line)
            _watch(server, worker)
    except KeyboardInterrupt:
        say("Stopped.")


def greeting(server: DevServer) -> tuple[str, ...]:
    """Where things are, and what can be typed next."""
    return (
        f"Temporal server    {server.address}",
        f"Temporal UI        {server.ui}",
        f"database and logs  {server.folder}",
        "",
        "Next, in another terminal:",
        f"  export TEMPORAL_ADDRESS={shlex.quote(server.address)}",
        "  conduit new speaker-id && cd speaker-id",
        "  conduit deliver",
        "",
        "Ctrl-C ends the server and the sample workflows' worker.",
    )


def _watch(server: DevServer, worker: Child) -> None:
    while True:
        server.check()
        worker.check()
        time.sleep(PAUSE)
