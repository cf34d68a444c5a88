"""For engineers, who call an algorithm from their workflows."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import (
    AlgorithmArgument,
    AlgorithmOrProjectArgument,
    CommitOption,
    JsonOption,
    ProjectOption,
    ReasonOption,
    RuntimeOption,
    checked,
    only_one_of,
    placeholder_image,
    takes,
)
from pipeline.cli.output import session, show

if TYPE_CHECKING:
    from pipeline.build.wishes import ImageWishes

app = typer.Typer()
PANEL = "Calling an algorithm"


@app.command(rich_help_panel=PANEL, epilog="Example: conduit stubs speaker-id --output speaker_id_stubs.py")
def stubs(
    algorithm: AlgorithmOrProjectArgument = None,
    project: Annotated[
        Path | None, typer.Option("--project", help="Take the contract of a research repo, not the live one.")
    ] = None,
    commit: CommitOption = None,
    contract: Annotated[
        Path | None, typer.Option("--contract", help="Take the contract of a file, not the live one.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="File to write the module to.")] = None,
    check: Annotated[
        Path | None, typer.Option("--check", help="Only tell whether the stubs in this file still fit.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the module of typed calls for engineers, or check theirs against the contract."""
    from pipeline.commands import stubs as command

    if (project is None) == (algorithm is None):
        raise typer.BadParameter("name either ALGORITHM or --project FOLDER")
    if (project and contract) or (commit and not project) or (output and check):
        raise typer.BadParameter("--commit goes with --project, and not --contract; --output or --check")
    here = session(as_json)
    if project is not None:
        source = command.of_project(here, project, commit)
    elif contract is not None:
        source = command.of_file(here, str(algorithm), contract)
    else:
        source = asyncio.run(command.of_live(here, str(algorithm)))
    found = command.check(source, check) if check else command.write(source, output)
    show(found, as_json, found.lines)


contract_app = typer.Typer(invoke_without_command=True, no_args_is_help=False)
app.add_typer(
    contract_app, name="contract", rich_help_panel=PANEL, epilog="Example: conduit contract --live speaker-id"
)

LiveOption = Annotated[
    str | None, typer.Option("--live", help="Of the build that is live.", metavar="ALGORITHM")
]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="Of a contract file, a build record, signatures or stubs.")
]


@contract_app.callback()
def contract(
    context: typer.Context,
    project: ProjectOption = Path(),
    commit: CommitOption = None,
    live: LiveOption = None,
    file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the activities take and give: of a commit, of what is live, or of a file."""
    if context.invoked_subcommand is not None:
        return
    from pipeline.commands import contract as command

    only_one_of(live, file, commit)
    where = command.Where(file=file, live=live, project=project, commit=commit)
    shown = asyncio.run(command.show(session(as_json), where))
    show(shown.contract if as_json else shown, as_json, shown.lines)


@contract_app.command(epilog="Example: conduit contract diff --against stubs/speaker_id.py")
def diff(
    project: ProjectOption = Path(),
    commit: CommitOption = None,
    file: FileOption = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", help="File to compare with: stubs, signatures, a contract, a build record."
        ),
    ] = None,
    against_commit: Annotated[
        str | None, typer.Option("--against-commit", help="Revision to compare with.")
    ] = None,
    against_live: Annotated[
        str | None,
        typer.Option("--against-live", help="Default: the same algorithm's.", metavar="ALGORITHM"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what changed since, and leave with exit code 92 where it breaks callers."""
    from pipeline.commands import contract as command
    from pipeline.errors import ContractBroken

    only_one_of(against, against_commit, against_live)
    only_one_of(file, commit)
    named = against or against_commit or against_live
    old = command.Where(file=against, live=against_live, project=project, commit=against_commit)
    new = command.Where(file=file, project=project, commit=commit)
    found = asyncio.run(command.diff(session(as_json), new, old if named else None))
    show(found, as_json, found.lines)
    if found.breaking:
        raise typer.Exit(ContractBroken.exit_code)


@app.command(rich_help_panel=PANEL, epilog="Example: conduit placeholder speaker-id --contract speaker_id.py")
@takes(image=placeholder_image)
def placeholder(
    algorithm: AlgorithmArgument,
    image: "ImageWishes",
    contract: Annotated[
        Path,
        typer.Option("--contract", help="Python with typed functions whose body is `...`, or a contract."),
    ],
    examples: Annotated[
        Path | None,
        typer.Option("--examples", help='What to answer: JSON, {"activity": [answer, ...]}.'),
    ] = None,
    hold: Annotated[
        bool, typer.Option("--hold", help="Answer nothing: let calls wait until the algorithm is delivered.")
    ] = False,
    runtime: RuntimeOption = None,
    in_production: Annotated[
        str | None,
        typer.Option(
            "--in-production",
            metavar="NAMESPACE",
            help="Ask for it by name where the server is not local, or the algorithm is there already.",
        ),
    ] = None,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let a stand-in answer an algorithm's calls before there is an algorithm."""
    from pipeline.commands.placeholder import Declared
    from pipeline.commands.placeholder import placeholder as run
    from pipeline.commands.release import Wishes

    given = Declared(
        algorithm=algorithm, contract=contract, examples=examples, hold=hold, runtime=runtime or "process"
    )
    wishes = Wishes(image=image, reason=reason, in_production=in_production)
    done = asyncio.run(run(session(as_json), given, wishes))
    show(done, as_json, done.lines)


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: conduit backfill speaker-id --build 6459068e2c62 --output again.jsonl",
)
def backfill(
    algorithm: AlgorithmArgument,
    build: Annotated[
        str,
        typer.Option("--build", help="Whose answers: a build ID, or its beginning.", metavar="BUILD"),
    ],
    output: Annotated[
        Path, typer.Option("--output", help="File for the new answers, a JSON line each.", metavar="FILE")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Make the calls; without, they are counted.")] = False,
    batch: Annotated[int, typer.Option(help="Calls under way at most.", min=1, max=500)] = 20,
    priority: Annotated[
        int, typer.Option(help="From 1, first, to 5; production's calls have 3.", min=1, max=5)
    ] = 5,
    most: Annotated[int, typer.Option(help="How many histories are read, the latest first.", min=1)] = 10_000,
    as_json: JsonOption = False,
) -> None:
    """Make the calls again that an older build answered, and say beforehand how many that is."""
    from pipeline.commands.backfill import BackfillWishes
    from pipeline.commands.backfill import backfill as run

    wishes = checked(
        BackfillWishes, build=build, output=output, yes=yes, batch=batch, priority=priority, most=most
    )
    done = asyncio.run(run(session(as_json), algorithm, wishes))
    show(done, as_json, done.lines)
