"""`python -m pipeline.worker run` and `python -m pipeline.worker describe`."""

import argparse
import atexit
import logging
import os
import sys
import threading
from pathlib import Path
from traceback import format_exc
from typing import NoReturn

from pydantic import ValidationError

from pipeline.worker.failures import HostFailure, message
from pipeline.worker.phases import enter
from pipeline.worker.settings import HostSettings

LAST_MOMENTS = 2.0
"""Seconds that the research code's exit functions get, and what it left running."""


def main() -> int:
    """Do what the command line says; 0 if it was done, 1 if not."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = _read(arguments.settings)
        if arguments.command == "describe":
            return _describe(settings, arguments.output)
        _run(settings)
    except HostFailure as failure:
        return _fail(failure)
    except BaseException as error:  # research code may exit in the loop
        return _fail(HostFailure("WorkerDied", "the worker failed", why=message(error), log=format_exc()))
    return 0


def _fail(failure: HostFailure) -> int:
    enter("failed", error=failure.error, why=str(failure))
    print(failure.log, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline.worker", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the activities until SIGTERM")
    describe = commands.add_parser("describe", help="write the activities' contract, or why there is none")
    for command in (run, describe):
        command.add_argument("--settings", type=Path, required=True, help="JSON file of HostSettings")
    describe.add_argument("--output", type=Path, required=True, help="JSON file to write")
    return parser


# Each command imports what it needs: `describe` does without the worker, which takes half a second to load.
def _describe(settings: HostSettings, output: Path) -> int:
    from pipeline.worker.describe import Described, write_description

    return 0 if isinstance(write_description(settings, output), Described) else 1


def _run(settings: HostSettings) -> None:
    from pipeline.worker.host import run

    run(settings, os.environ)


def _read(path: Path) -> HostSettings:
    try:
        return HostSettings.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise HostFailure(
            "HostMisconfigured", f"the settings {path} cannot be read", why=message(error)
        ) from error


def _end(code: int) -> NoReturn:
    # Python's own end waits for threads that never end, and the SDK's native threads may abort it (SIGABRT).
    last_resort = threading.Timer(LAST_MOMENTS, os._exit, [code])
    last_resort.daemon = True
    last_resort.start()
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _end(main())
