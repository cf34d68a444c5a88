"""How the worker host fails: by the names of the toolkit's own errors, which it cannot import."""

import traceback
from pathlib import Path
from typing import Literal

FailureName = Literal[
    "ImportFailed",
    "NoActivity",
    "DuplicateActivity",
    "UntypedActivity",
    "SetupFailed",
    "HostMisconfigured",
    "TemporalUnreachable",
    "TemporalRefused",
    "WorkerDied",
]

MAX_MESSAGE = 1000
MAX_LOG = 6000
NOT_RESEARCH = ("<frozen importlib", str(Path(__file__).parent), "/importlib/__init__.py")


class HostFailure(Exception):
    """A failure that ends the host, or that makes a commit unfit to be built.

    Attributes:
        error: name of the error in `pipeline.errors`.
        what: what happened, one sentence.
        why: the cause, short.
        log: a traceback, if there is one.
    """

    def __init__(self, error: FailureName, what: str, *, why: str = "", log: str = "") -> None:
        super().__init__(f"{what}: {why}" if why else what)
        self.error: FailureName = error
        self.what = what
        self.why = why
        self.log = log


def message(error: BaseException) -> str:
    """`ValueError: no such file`, of bounded length."""
    return f"{type(error).__name__}: {error}"[:MAX_MESSAGE]


def research_traceback(error: BaseException) -> str:
    """The traceback without this host's frames and the import system's, in which nobody's mistake is."""
    shown = traceback.TracebackException.from_exception(error)
    shown.stack = traceback.StackSummary.from_list([frame for frame in shown.stack if is_research(frame)])
    return "".join(shown.format()).strip()[-MAX_LOG:]


def is_research(frame: traceback.FrameSummary) -> bool:
    """Whether a line is neither this host's nor the import system's."""
    return not any(part in frame.filename for part in NOT_RESEARCH)
