"""Running other programs: a list of arguments, an environment that is given, the output kept for errors."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# What a researcher's tests and build backend must not find in their environment.
SECRET_PREFIXES = ("TEMPORAL_", "GITHUB_", "ACTIONS_", "RUNNER_", "CONDUIT_", "INPUT_", "SSH_")
SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "CREDENTIAL")
INDEX_PREFIX = "UV_INDEX"
# Set by the environment that the conduit itself runs in; they would lead another interpreter astray.
OURS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT")


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a researcher's code is tested and built."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(SECRET_PREFIXES)
        and not any(word in name.upper() for word in SECRET_WORDS)
        and name not in OURS
    }


def for_installing(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which uv installs: `without_secrets`, and what opens a private package index."""
    index = {name: value for name, value in environment.items() if name.startswith(INDEX_PREFIX)}
    return {**without_secrets(environment), **index}


class Outcome(subprocess.CompletedProcess[str]):
    """A finished program; `stdout` holds both streams in the order they were written."""

    def tail(self, lines: int = 60) -> str:
        """The end of its output."""
        return tail(self.stdout, lines)


def tail(text: str, lines: int = 60) -> str:
    """The last lines of a text."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def run(
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float | None = None,
) -> Outcome:
    """Run a program to its end; a failure is the caller's to explain.

    Raises:
        FileNotFoundError: there is no such program.
        subprocess.TimeoutExpired: it ran longer than `timeout` seconds, and was killed with all it started.
    """
    command = [str(argument) for argument in arguments]
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        errors="replace",
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException:
            os.killpg(process.pid, 9)
            raise
    return Outcome(command, process.returncode, output)
