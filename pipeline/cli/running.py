"""All commands together, and how a run of one ends."""

import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Annotated, NoReturn

import typer

from pipeline import __version__
from pipeline.cli import engineers, hosted, live, machine, route
from pipeline.cli.output import print_json
from pipeline.errors import ConduitError

INTERRUPTED = 130
UNFORESEEN = 1

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
    _leave(run(sys.argv[1:], os.environ))


def run(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run one command; return its exit code. What failed is told on stderr, and with `--json` on stdout too."""
    try:
        app(arguments, standalone_mode=True)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else UNFORESEEN if leaving.code else 0
    except ConduitError as error:
        return _failed(error, "--json" in arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception:
        return _unforeseen(environment)
    return 0


def _failed(error: ConduitError, as_json: bool) -> int:
    from pipeline.report import failure, inert

    print(inert(failure(error)), file=sys.stderr)
    if as_json:
        print_json(
            json.dumps({"error": type(error).__name__, "exit_code": error.exit_code, **error.fields()})
        )
    return error.exit_code


def _unforeseen(environment: Mapping[str, str]) -> int:
    """A fault of our own: say so, with what a report of it needs."""
    from pipeline.report import inert

    print(inert(traceback.format_exc()), file=sys.stderr)
    print(
        "error: the conduit met something that it did not foresee.\n"
        f"now:   report it with the lines above, conduit {__version__} and Python {sys.version.split()[0]}.",
        file=sys.stderr,
    )
    return UNFORESEEN


def _leave(code: int) -> NoReturn:
    # The SDK's native threads may call into an interpreter that is shutting down, which aborts the process.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
