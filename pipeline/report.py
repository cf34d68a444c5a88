"""What people see while a command works: steps with names and times, on stderr; results go to stdout."""

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import ConduitError
from pipeline.release_report import StepResult

# What GitHub's runner would carry out where it stands in a job's log: `::command::` at the start of a line, and the
# older `##[command]` anywhere. Control characters are a terminal's commands, and direction marks rearrange its lines;
# surrogates, of file names that are no UTF-8, cannot be printed at all.
COMMAND = re.compile(r"^([^\S\n]*):(?=:)|##(?=\[)", re.MULTILINE)
CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"
)
DEFUSED = "\N{ZERO WIDTH SPACE}"


def inert(text: str) -> str:
    """Text that may be a stranger's, as it may be printed: neither a terminal nor a CI runner acts on it."""
    return COMMAND.sub(rf"\g<0>{DEFUSED}", CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))


def tell(text: str) -> None:
    """Print words to stderr. A reader that has gone, or a full disk, does not stop what is told of."""
    with contextlib.suppress(OSError):
        print(inert(text), file=sys.stderr, flush=True)


class Report:
    """Plain lines, one a step: they read the same in a terminal, in a CI log and in a file."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._steps: list[StepResult] = []

    @property
    def steps(self) -> tuple[StepResult, ...]:
        """The steps that ended so far."""
        return tuple(self._steps)

    def say(self, line: str) -> None:
        """Print a line for people."""
        if not self._quiet:
            tell(line)

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
        self._steps.append(
            StepResult(
                name=name[:100], status="ok" if status == "ok" else "failed", seconds=seconds, detail=detail
            )
        )
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
