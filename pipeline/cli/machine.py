"""This machine: what is wrong with it, Temporal on it, the whole story on it."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import JsonOption, RuntimeOption, image_place, takes
from pipeline.cli.output import print_text, session, show

if TYPE_CHECKING:
    from pipeline.build.wishes import ImageWishes

app = typer.Typer()
PANEL = "On this machine"


@app.command(rich_help_panel=PANEL, epilog="Example: conduit doctor --registry ghcr.io/acme")
@takes(image=image_place)
def doctor(
    image: "ImageWishes",
    project: Annotated[
        Path | None,
        typer.Option("--project", help="Folder of the algorithm; this one, if it has a pyproject.toml."),
    ] = None,
    runtime: RuntimeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what a delivery would fail by, on this machine and at Temporal; change nothing.

    It leaves with the exit code of the first fault.
    """
    from pipeline.commands.doctor import examine

    here = Path() if Path("pyproject.toml").exists() else None
    found = asyncio.run(examine(session(as_json), project or here, runtime, image))
    show(found, as_json, found.lines)
    if found.exit_code:
        raise typer.Exit(found.exit_code)


@app.command(rich_help_panel=PANEL, epilog="Example: conduit dev --folder .conduit-dev")
def dev(
    folder: Annotated[Path | None, typer.Option(help="Where the database is kept.")] = None,
    port: Annotated[int, typer.Option(help="Of the server.", min=1, max=65535)] = 7233,
    ui_port: Annotated[int, typer.Option(help="Of its pages.", min=1, max=65535)] = 8233,
) -> None:
    """Run a local Temporal server with its UI, and the sample workflows, until Ctrl-C."""
    from pipeline.commands.dev import dev as run
    from pipeline.paths import home

    run(port=port, ui_port=ui_port, folder=folder or home(os.environ) / "dev", say=print_text)


@app.command(rich_help_panel=PANEL, epilog="Example: conduit demo --workflows 5")
def demo(
    workflows: Annotated[int, typer.Option(help="Running workflows.", min=1, max=50)] = 3,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's folder.")] = False,
) -> None:
    """Show the whole story on this machine with real parts, check it, and clean up."""
    from pipeline.commands.demo import demo as run

    run(environment=os.environ, say=print_text, workflows=workflows, keep=keep)
