"""What is live, and the release that is running."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import (
    AlgorithmArgument,
    AlgorithmOrAllArgument,
    AlgorithmOrProjectArgument,
    JsonOption,
    ReasonOption,
)
from pipeline.cli.output import print_json, print_text, session, show

if TYPE_CHECKING:
    from pipeline.commands.control import Word

app = typer.Typer()
PANEL = "What is live"


@app.command(
    rich_help_panel=PANEL, epilog='Example: conduit rollback speaker-id --reason "wrong speakers since noon"'
)
def rollback(
    algorithm: AlgorithmOrProjectArgument = None,
    project: Annotated[
        Path | None, typer.Option("--project", help="Take the name from a clone of the research repo.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Build ID, or its beginning.", metavar="BUILD")
    ] = None,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Route calls to the build that was Current before, or to the one named, and quarantine the present one."""
    from pipeline.commands.rollback import named
    from pipeline.commands.rollback import rollback as run

    if (project is None) == (algorithm is None):
        raise typer.BadParameter("name either ALGORITHM or --project FOLDER")
    name = str(algorithm) if project is None else named(project)
    done = asyncio.run(run(session(as_json), name, to or None, reason))
    show(done, as_json, done.lines)


def _tell(algorithm: str, word: "Word", reason: str, as_json: bool) -> None:
    from pipeline.commands.control import tell

    told = asyncio.run(tell(session(as_json), algorithm, word, reason))
    show(told, as_json, told.lines)


@app.command(
    rich_help_panel=PANEL, epilog='Example: conduit pause speaker-id --reason "the database is being moved"'
)
def pause(algorithm: AlgorithmArgument, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Keep the running release from going forward; a build that turns bad is rolled back all the same."""
    _tell(algorithm, "pause", reason, as_json)


@app.command(rich_help_panel=PANEL, epilog="Example: conduit resume speaker-id")
def resume(algorithm: AlgorithmArgument, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Let a paused or held release go on; its step is judged anew."""
    _tell(algorithm, "resume", reason, as_json)


@app.command(rich_help_panel=PANEL, epilog='Example: conduit promote speaker-id --reason "urgent correction"')
def promote(algorithm: AlgorithmArgument, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Make the release's build Current now, without more of its ramp; in the watch, end the watch."""
    _tell(algorithm, "promote", reason, as_json)


@app.command(rich_help_panel=PANEL, epilog='Example: conduit abort speaker-id --reason "wrong model file"')
def abort(algorithm: AlgorithmArgument, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Stop the running release: calls go to the build before it, and its build is quarantined."""
    _tell(algorithm, "abort", reason, as_json)


@app.command(rich_help_panel=PANEL, epilog="Example: conduit retire speaker-id --keep 1")
def retire(
    algorithm: AlgorithmArgument,
    keep: Annotated[
        int | None, typer.Option("--keep", min=0, max=50, help="Earlier good builds whose workers stay.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Stop workers of this machine that are idle and past retention, and delete versions that are too many."""
    from pipeline.commands.retire import retire as run

    done = asyncio.run(run(session(as_json), algorithm, keep))
    show(done, as_json, done.lines)


@app.command(rich_help_panel=PANEL, epilog="Example: conduit controller")
def controller() -> None:
    """Host this machine's releases until stopped: `deliver --detach` leaves them to it."""
    from pipeline.commands.controller import controller as run

    asyncio.run(run(session(as_json=False), print_text))


@app.command(rich_help_panel=PANEL, epilog="Example: conduit status speaker-id --json")
def status(
    algorithm: AlgorithmOrAllArgument = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is live, and which builds have workers."""
    from pipeline.commands import status as command
    from pipeline.commands import tables

    here = session(as_json)
    if algorithm is None:
        all_found = asyncio.run(command.overview(here))
        if as_json:
            print_json(json.dumps({"algorithms": [each.algorithm for each in all_found]}))
        else:
            print_text("\n".join(map(tables.headline, all_found)) or "No algorithm yet.")
        return
    found = asyncio.run(command.status(here, algorithm))
    show(found, as_json, lambda: tables.status(found))


@app.command(rich_help_panel=PANEL, epilog="Example: conduit history speaker-id --most 5")
def history(
    algorithm: AlgorithmArgument,
    most: Annotated[int, typer.Option(help="How many events.", min=1, max=1000)] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show what was live, who changed it and why."""
    from pipeline.commands import tables
    from pipeline.commands.history import history as run

    events = asyncio.run(run(session(as_json), algorithm, most))
    if as_json:
        print_json(json.dumps([event.model_dump(mode="json") for event in events]))
    else:
        print_text("\n".join(tables.history(events)))
