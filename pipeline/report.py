"""What people see while a command works: steps with names and times, on stderr; results go to stdout."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import ConduitError


class Report:
    """Plain lines, one a step: they read the same in a terminal, in a CI log and in a file."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    def say(self, line: str) -> None:
        """Print a line for people."""
        if not self._quiet:
            print(line, file=sys.stderr, flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Show a step; what is put into the list that it yields is shown behind its time."""
        detail: list[str] = []
        self.say(f"  … {name}")
        since = time.monotonic()
        try:
            yield detail
        except BaseException:
            self.ended(name, "failed", time.monotonic() - since)
            raise
        self.ended(name, "ok", time.monotonic() - since, " ".join(detail))

    def ended(self, name: str, status: str, seconds: float, detail: str = "") -> None:
        """Show that a step ended, `ok` or `failed`, after so many seconds."""
        mark = "✓" if status == "ok" else "✗"
        self.say(f"  {mark} {name:<12} {seconds:6.2f} s  {detail}".rstrip())

    def on_step(self, name: str, status: str, seconds: float) -> None:
        """Show a release's step as it starts and ends."""
        if status == "started":
            self.say(f"  … {name}")
        else:
            self.ended(name, status, seconds)


def failure(error: ConduitError) -> str:
    """An error as people read it: what happened, why, the log, what to do now."""
    parts = [f"error: {error.what}"]
    if error.log:
        parts.append("\n".join(f"  │ {line}" for line in error.log.splitlines()))
    if error.why:
        parts.append(f"why:   {error.why}")
    if error.now:
        parts.append(f"now:   {error.now}")
    return "\n".join(parts)
