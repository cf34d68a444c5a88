"""All commands together, and how a run of one ends."""

import contextlib
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from pipeline import __version__
from pipeline.cli import engineers, hosted, live, machine, route
from pipeline.cli.output import print_json
from pipeline.errors import ConduitError

INTERRUPTED = 130
UNFORESEEN = 1
ENDING = (signal.SIGTERM, signal.SIGHUP)
"""What a CI job that is cancelled sends, and a terminal that is closed."""

app = typer.Typer(
    name="conduit",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for part in (route, live, engineers, hosted, machine):
    app.add_typer(part.app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"conduit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take a researcher's commit to running Temporal workflows, and back in seconds."""


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    _see_that_words_can_be_printed()
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _as_ctrl_c)
    _leave(run(sys.argv[1:], os.environ))


def run(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run one command; return its exit code. What failed is told on stderr, and with `--json` on stdout too."""
    as_json = "--json" in arguments
    try:
        app(arguments, standalone_mode=True)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:  # Ctrl-C, which typer has caught
            return _interrupted(as_json)
        return leaving.code if isinstance(leaving.code, int) else UNFORESEEN if leaving.code else 0
    except KeyboardInterrupt:
        return _interrupted(as_json)
    except Exception as error:
        from pipeline.commands.foreseen import foreseen

        known = foreseen(error)
        return _failed(known, as_json) if known else _unforeseen(as_json)
    return 0


def _failed(error: ConduitError, as_json: bool) -> int:
    from pipeline.report import failure, tell

    tell(failure(error))
    return _ended(type(error).__name__, error.exit_code, error.fields(), as_json)


def _interrupted(as_json: bool) -> int:
    from pipeline.report import tell

    tell("interrupted")
    return _ended("Interrupted", INTERRUPTED, ConduitError("It was interrupted.").fields(), as_json)


def _unforeseen(as_json: bool) -> int:
    """A fault of our own: say so, with what a report of it needs."""
    from pipeline.report import tell

    what = "The conduit met something that it did not foresee."
    log = traceback.format_exc()
    now = f"Report it with the lines above, conduit {__version__} and Python {sys.version.split()[0]}."
    tell(f"{log}\nerror: {what}\nnow:   {now}")
    return _ended("Unforeseen", UNFORESEEN, ConduitError(what, now=now, log=log).fields(), as_json)


def _ended(name: str, code: int, fields: Mapping[str, str], as_json: bool) -> int:
    if as_json:
        with contextlib.suppress(OSError):  # that nothing can be written may be what is told
            print_json(json.dumps({"error": name, "exit_code": code, **fields}))
    return code


def _see_that_words_can_be_printed() -> None:
    """Open the streams that are closed, to nowhere, and let no encoding refuse a word."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  # for the rest of the process
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    """Do what Ctrl-C would do just now, once: a terminal's end is told twice, and a second one ends the undo."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # it is ignored, as in a script's background
        raise KeyboardInterrupt
    handler(number, frame)


def _leave(code: int) -> NoReturn:
    # The SDK's native threads may call into an interpreter that is shutting down, which aborts the process.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
