"""Temporal and the whole story, on this machine."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.output import print_text

app = typer.Typer()
PANEL = "On this machine"


@app.command(rich_help_panel=PANEL, epilog="Example: conduit dev --folder .conduit-dev")
def dev(
    folder: Annotated[Path | None, typer.Option(help="Where the database is kept.")] = None,
    port: Annotated[int, typer.Option(help="Of the server.")] = 7233,
    ui_port: Annotated[int, typer.Option(help="Of its pages.")] = 8233,
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
