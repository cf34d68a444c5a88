"""Running other programs: a list of arguments, an environment that is given, the output kept for errors."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# What a researcher's tests and build backend must not find in their environment.
SECRET_PREFIXES = ("TEMPORAL_", "GITHUB_", "ACTIONS_", "RUNNER_", "CONDUIT_", "INPUT_", "SSH_")
SECRET_WORDS = (
    *("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL"),
    *("API_KEY", "ACCESS_KEY", "PRIVATE_KEY", "AUTH_CONFIG", "WEBHOOK"),
)
SECRET_ENDS = ("_KEY", "_PASS", "_PAT", "_PWD")
# What names package indexes; the address of a private one may hold its password.
INDEX = re.compile(r"(?:UV|PIP)_(?:DEFAULT_|EXTRA_)?INDEX.*|UV_FIND_LINKS|PIP_FIND_LINKS")
PASSWORD_IN_URL = re.compile(r"://[^/\s]*@")
# Set by the environment that the conduit itself runs in; they would lead another interpreter astray.
OURS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT")

END = 256 * 1024
"""Bytes of a log within which its last lines are looked for."""


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a researcher's code is tested and built."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(SECRET_PREFIXES)
        and not any(word in name.upper() for word in SECRET_WORDS)
        and not name.upper().endswith(SECRET_ENDS)
        and not (INDEX.fullmatch(name) and PASSWORD_IN_URL.search(value))
        and name not in OURS
    }


def for_installing(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which uv installs: `without_secrets`, and what opens a private package index."""
    index = {name: value for name, value in environment.items() if INDEX.fullmatch(name)}
    return {**without_secrets(environment), **index}


class Outcome(subprocess.CompletedProcess[str]):
    """A finished program; `stdout` holds both streams in the order they were written."""

    def tail(self, lines: int = 60) -> str:
        """The end of its output."""
        return tail(self.stdout, lines)


def tail(text: str, lines: int = 60) -> str:
    """The last lines of a text."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def end_of(file: Path, lines: int = 60) -> str:
    """The last lines of a file, of which the end alone is read."""
    with file.open("rb") as opened:
        opened.seek(max(0, os.fstat(opened.fileno()).st_size - END))
        return tail(opened.read(END).decode(errors="replace"), lines)


def run(
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float | None = None,
) -> Outcome:
    """Run a program to its end; a failure is the caller's to explain. What it leaves running is killed.

    Raises:
        FileNotFoundError: there is no such program.
        subprocess.TimeoutExpired: it ran longer than `timeout` seconds, and was killed with all it started.
    """
    command = [str(argument) for argument in arguments]
    # Not a pipe: what a program leaves behind in the background would hold it open, and its reader up.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            with interruptible():
                process.wait(timeout)
        finally:
            _kill_group(process)
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Outcome(command, process.returncode, text.replace("\r\n", "\n").replace("\r", "\n"))


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end a blocking wait at once; an event loop's own handler would let it go on to its end."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before in (signal.SIG_IGN, None):
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _kill_group(leader: subprocess.Popen[bytes]) -> None:
    """Kill a program and all that it started and left behind."""
    with contextlib.suppress(ProcessLookupError):  # mostly nothing is left
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()
