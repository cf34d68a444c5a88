"""A real Temporal dev server that can be stopped and started again on the same port and database file."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pipeline.devserver import free_port, installed_binary

START_DEADLINE = 60.0
STOP_DEADLINE = 20.0


temporal_binary = installed_binary


@dataclass
class DevServer:
    """A dev server with its database in `folder`; its address stays the same over `stop` and `start`."""

    binary: Path
    folder: Path
    dynamic_config: Mapping[str, str] = field(default_factory=dict)
    """Server settings by name; each value is JSON text, as `--dynamic-config-value` takes it."""
    port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """`127.0.0.1:port`, as `TEMPORAL_ADDRESS` takes it."""
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables through which a client or a worker finds this server."""
        return {"TEMPORAL_ADDRESS": self.address, "TEMPORAL_NAMESPACE": "default"}

    @property
    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "server.log").read_text(errors="replace")

    def start(self) -> Self:
        """Start the server and wait until it answers for its default namespace.

        Raises:
            RuntimeError: it ended, or it did not answer in time; the text holds the end of its log.
        """
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_DEADLINE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the Temporal dev server did not start:\n{self.log[-3000:]}")
        return self

    def stop(self, *, kill: bool = False) -> None:
        """Stop the server, gracefully or as a crash would; the database file stays."""
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_DEADLINE)
        process.kill()
        process.wait()

    def restart(self, *, kill: bool = False) -> None:
        """Stop the server and start it again on the same address and database."""
        self.stop(kill=kill)
        self.start()

    def stand_still(self, seconds: float) -> None:
        """Let the server do nothing for a while, as on a machine that has no time for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self) -> list[str]:
        settings = [f"--dynamic-config-value={key}={value}" for key, value in self.dynamic_config.items()]
        return [
            *(str(self.binary), "server", "start-dev", "--headless", "--ip", "127.0.0.1"),
            *("--port", str(self.port), "--http-port", str(self.http_port)),
            *("--metrics-port", str(self.metrics_port)),
            *("--db-filename", str(self.folder / "temporal.db"), "--log-level", "warn"),
            *settings,
        ]

    def _answers(self) -> bool:
        ask = [
            *(str(self.binary), "operator", "namespace", "describe", "default"),
            *("--address", self.address, "--command-timeout", "2s"),
        ]
        return subprocess.run(ask, capture_output=True, check=False).returncode == 0
