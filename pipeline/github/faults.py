"""Finds the lines at fault in the output of a repo's tests, to be shown as annotations."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.github.page_models import Annotation

MOST = 500
"""More annotations than anybody reads; a hostile log may hold millions."""

# How pytest ends the traceback of a failure; `in f` is a frame on the way there.
FAILURE = re.compile(
    r"(?P<path>[^\s:\"'][^:\n]{0,500}\.py):(?P<line>[1-9]\d{0,6}): (?!in )(?P<message>\S.{0,500})"
)
# How Python does it, and how pytest quotes Python where a file could not even be collected.
FRAME = re.compile(r'(?:E\s)?\s*File "(?P<path>[^"\n]{1,500}\.py)", line (?P<line>[1-9]\d{0,6})')
EXCEPTION = re.compile(
    r"(?:E\s+)?(?P<message>[A-Za-z_][\w.]{0,200}(?:Error|Exception|Interrupt|Exit)\b.{0,500})"
)


def annotations(log: str, root: Path, prefix: str = "") -> tuple[Annotation, ...]:
    """The lines of the repo at which the tests failed, in the order of the log.

    Args:
        log: what the tests printed.
        root: the folder in which they ran; frames outside it are somebody else's code.
        prefix: what that folder is inside the repo, empty at its root.
    """
    found: dict[Annotation, None] = {}
    for path, line, message in _faults(log, root):
        place = str(PurePosixPath(prefix, path))
        found[Annotation(path=place, line=line, title="Failed", message=message)] = None
        if len(found) == MOST:
            break
    return tuple(found)


def _faults(log: str, root: Path) -> Iterator[tuple[str, int, str]]:
    innermost: tuple[str, int] | None = None
    for line in log.splitlines():
        if failure := FAILURE.fullmatch(line):
            path = _inside(failure["path"], root)
            if path:
                yield path, int(failure["line"]), failure["message"]
        elif frame := FRAME.match(line):
            path = _inside(frame["path"], root)
            innermost = (path, int(frame["line"])) if path else innermost
        elif (exception := EXCEPTION.fullmatch(line)) and innermost:
            yield *innermost, exception["message"]
            innermost = None


def _inside(path: str, root: Path) -> str:
    """The path from `root`, or "" where it leads out of it."""
    named = PurePosixPath(path)
    base = PurePosixPath(root)
    if ".." in named.parts or (named.is_absolute() and not named.is_relative_to(base)):
        return ""
    inside = named.relative_to(base) if named.is_absolute() else named
    return "" if "site-packages" in inside.parts else str(inside)
