"""For GitHub, and the jobs there."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import JsonOption
from pipeline.cli.output import session, show

app = typer.Typer()
PANEL = "On GitHub"


@app.command(rich_help_panel=PANEL, epilog="Example: conduit onboard acme/speaker-id")
def onboard(
    repository: Annotated[str, typer.Argument(help="The research repo on GitHub.", metavar="OWNER/REPO")],
    path: Annotated[str, typer.Option("--path", help="Folder of the algorithm inside the repo.")] = "",
    toolkit: Annotated[
        str,
        typer.Option(
            "--toolkit",
            help="Where the conduit is. Default: algorithm-conduit of the same owner, at v1.",
            metavar="OWNER/REPO@REF",
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Open the pull request that puts a repo on the conduit; it needs a token in GH_TOKEN."""
    from pipeline.commands.onboard import onboard as run

    done = run(repository, os.environ, path=path, toolkit=toolkit)
    show(done, as_json, done.lines)


@app.command(rich_help_panel=PANEL, epilog="Example: conduit comment verified.json")
def comment(
    verified: Annotated[Path, typer.Argument(help="What `conduit verify --output` wrote.")],
    as_json: JsonOption = False,
) -> None:
    """Say on the pull request that this job is about what it changes for callers; for GitHub Actions.

    No research code runs in this command. The file may be a stranger's: what it says is checked.
    """
    from pipeline.commands.comment import comment as run

    done = run(session(as_json), verified)
    show(done, as_json, done.lines)


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: conduit attested build.json --workflow acme/algorithm-conduit/.github/workflows/conduit.yml",
)
def attested(
    record: Annotated[Path, typer.Argument(help="The build record that `conduit build` wrote.")],
    workflow: Annotated[
        str,
        typer.Option("--workflow", metavar="OWNER/REPO/PATH", help="The workflow that must have built it."),
    ],
    as_json: JsonOption = False,
) -> None:
    """See that a signature says where a record's image was built, and of which commit; for GitHub Actions."""
    from pipeline.commands.attested import attested as run

    done = run(session(as_json), record, workflow)
    show(done, as_json, done.lines)
