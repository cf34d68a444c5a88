"""What every command begins and ends with: its session, its result for people or machines, its words."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.commands.session import Session


def session(as_json: bool) -> "Session":
    """The environment and the progress of this command."""
    from pipeline.commands.session import Session
    from pipeline.report import Report

    return Session(environment=dict(os.environ), report=Report(quiet=as_json))


def write(result: Any, output: Path | None) -> None:
    """Write a result as JSON where a file is named."""
    from pipeline.commands.output import write as write_whole

    if output is not None:
        write_whole(result, output)


def show(result: Any, as_json: bool, lines: Callable[[], list[str]]) -> None:
    """Print a result: as JSON, or in lines for people."""
    if as_json:
        print_json(result.model_dump_json())
    else:
        print_text("\n".join(lines()))


def print_json(text: str) -> None:
    """Print JSON so that nothing in it is a command to the runner of a CI job."""
    # The runner reads commands out of what is printed; in JSON the bracket may be spelt otherwise.
    _print(text.replace("##[", "##\\u005b"))


def print_text(text: str) -> None:
    """Print words, some of them a stranger's."""
    from pipeline.report import inert

    _print(inert(text))


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # its reader has had enough, as `head` has; what the command did is done
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # for the rest of the process
