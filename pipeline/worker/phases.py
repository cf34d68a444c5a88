"""The phases of a worker host's life, as lines in its log.

A log is what all runtimes can read of a worker, alive or dead. Research code writes to the same log and may
imitate these lines: they are good for a message to a person, never for a decision.
"""

import contextlib
import os
from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

PhaseName = Literal["importing", "setup", "connecting", "polling", "stopping", "stopped", "failed"]

MARK = '{"conduit":"phase"'
MAX_WHY = 1000
MAX_LINE = 8000


class Phase(BaseModel):
    """What a worker host was doing from a moment on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conduit: Literal["phase"] = "phase"
    phase: PhaseName
    at: AwareDatetime
    error: str = Field(
        default="", pattern=r"^[A-Za-z]{0,60}$", description="for `failed`: name in pipeline.errors"
    )
    why: str = Field(default="", max_length=MAX_WHY, description="one line")


def enter(phase: PhaseName, *, error: str = "", why: str = "") -> None:
    """Write to the log that a phase begins.

    The line goes to file descriptor 2 in one piece, past `sys.stderr`, which research code may have replaced.
    """
    one_line = " ".join(why.split())[:MAX_WHY]
    line = Phase(phase=phase, at=datetime.now(UTC), error=error, why=one_line).model_dump_json()
    with contextlib.suppress(OSError):  # a full disk must not keep a worker from handing its calls back
        os.write(2, f"{line}\n".encode())


def last_phase(log: str) -> Phase | None:
    """The last phase that a log tells of; None if it tells of none."""
    return next((phase for line in reversed(log.splitlines()) if (phase := _phase(line))), None)


def _phase(line: str) -> Phase | None:
    # Container logs put a timestamp before each line, and a program may have left its own line unfinished.
    start = line.find(MARK)
    if start < 0:
        return None
    try:
        return Phase.model_validate_json(line[start : start + MAX_LINE])
    except ValidationError:
        return None
