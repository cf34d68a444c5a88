"""The command line. Each command imports what it needs when it runs, so that `--help` answers at once."""

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from pipeline import __version__
from pipeline.errors import ConduitError

if TYPE_CHECKING:
    from pipeline.commands.session import Session

INTERRUPTED = 130
UNFORESEEN = 1

app = typer.Typer(
    name="conduit",
    help="Take a researcher's commit to running Temporal workflows, and back in seconds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

ProjectOption = Annotated[
    Path, typer.Option("--project", help="Folder of the algorithm, inside its git repository.")
]
CommitOption = Annotated[
    str | None,
    typer.Option("--commit", help="Revision to take instead of HEAD; uncommitted changes do not count."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the history.", metavar="TEXT")]
AlgorithmArgument = Annotated[str, typer.Argument(help="The algorithm's name.", metavar="ALGORITHM")]


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


@app.command(epilog="Example: conduit new speaker-id")
def new(
    name: Annotated[str, typer.Argument(help="The new algorithm's name.")],
    into: Annotated[Path | None, typer.Option("--into", help="Folder to make the repo in.")] = None,
    organisation: Annotated[str, typer.Option(help="GitHub organisation that holds the conduit.")] = "ORG",
    as_json: JsonOption = False,
) -> None:
    """Make a research repo that is ready to be delivered."""
    from pipeline.commands.new import new as run

    made = run(name, into, organisation)
    _show(made, as_json, lambda: [f"Made {made.repo.folder}. Next:", *(f"  {s}" for s in made.next_steps)])


@app.command(epilog="Example: conduit verify --commit HEAD~1")
def verify(project: ProjectOption = Path(), commit: CommitOption = None, as_json: JsonOption = False) -> None:
    """Run a commit's own tests in an environment of its own, and read its contract."""
    from pipeline.commands.deliver import verify_commit

    found = verify_commit(_session(as_json), project, commit)
    activities = ", ".join(activity.name for activity in found.contract.activities)
    _show(found, as_json, lambda: [f"{found.algorithm}: {found.tests}", f"  activities: {activities}"])


@app.command(epilog="Example: conduit build --json > build.json")
def build(project: ProjectOption = Path(), commit: CommitOption = None, as_json: JsonOption = False) -> None:
    """Build a commit, never the working tree, and print its build record."""
    from pipeline.commands.deliver import build_commit

    made = build_commit(_session(as_json), project, commit)
    _show(made, as_json, lambda: [f"{made.algorithm}: build {made.build_id}"])


@app.command(epilog="Example: conduit deliver")
def deliver(
    project: ProjectOption = Path(),
    commit: CommitOption = None,
    skip_tests: Annotated[
        bool, typer.Option("--skip-tests", help="Do not run the repo's own tests.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also a quarantined build or an older commit; needs --reason.")
    ] = False,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take a commit the whole route: verify, build, start, register, promote."""
    from pipeline.commands.deliver import Wishes
    from pipeline.commands.deliver import deliver as run

    if force and not reason:
        raise typer.BadParameter("--force needs --reason", param_hint="--force")
    wishes = Wishes(skip_tests=skip_tests, force=force, reason=reason)
    done = asyncio.run(run(_session(as_json), project, commit, wishes))
    _show(done, as_json, done.lines)


@app.command(epilog='Example: conduit rollback speaker-id --reason "wrong speakers since noon"')
def rollback(
    algorithm: AlgorithmArgument,
    to: Annotated[
        str | None, typer.Option("--to", help="Build ID, or its beginning.", metavar="BUILD")
    ] = None,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Route calls to the build that was Current before, or to the one named, and quarantine the present one."""
    from pipeline.commands.rollback import rollback as run

    done = asyncio.run(run(_session(as_json), algorithm, to, reason))
    _show(done, as_json, done.lines)


@app.command(epilog="Example: conduit status speaker-id --json")
def status(
    algorithm: Annotated[
        str | None, typer.Argument(help="The algorithm's name; all of them without.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is live, and which builds have workers."""
    from pipeline.commands import status as command
    from pipeline.commands import tables

    session = _session(as_json)
    if algorithm is None:
        names = asyncio.run(command.names(session))
        _print(json.dumps({"algorithms": names}) if as_json else "\n".join(names) or "No algorithm yet.")
        return
    found = asyncio.run(command.status(session, algorithm))
    _show(found, as_json, lambda: tables.status(found))


@app.command(epilog="Example: conduit history speaker-id --most 5")
def history(
    algorithm: AlgorithmArgument,
    most: Annotated[int, typer.Option(help="How many events.", min=1, max=1000)] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show what was live, who changed it and why."""
    from pipeline.commands import tables
    from pipeline.commands.history import history as run

    events = asyncio.run(run(_session(as_json), algorithm, most))
    if as_json:
        _print(json.dumps([event.model_dump(mode="json") for event in events]))
    else:
        _print("\n".join(tables.history(events)))


@app.command(epilog="Example: conduit stubs speaker-id --output speaker_id_stubs.py")
def stubs(
    algorithm: Annotated[
        str | None,
        typer.Argument(help="The algorithm's name; --project has it already.", metavar="ALGORITHM"),
    ] = None,
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
    session = _session(as_json)
    if project is not None:
        source = command.of_project(session, project, commit)
    elif contract is not None:
        source = command.of_file(session, str(algorithm), contract)
    else:
        source = asyncio.run(command.of_live(session, str(algorithm)))
    found = command.check(source, check) if check else command.write(source, output)
    _show(found, as_json, found.lines)


@app.command(epilog="Example: conduit onboard acme/speaker-id")
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
    _show(done, as_json, done.lines)


@app.command(epilog="Example: conduit dev --folder .conduit-dev")
def dev(
    folder: Annotated[Path | None, typer.Option(help="Where the database is kept.")] = None,
    port: Annotated[int, typer.Option(help="Of the server.")] = 7233,
    ui_port: Annotated[int, typer.Option(help="Of its pages.")] = 8233,
) -> None:
    """Run a local Temporal server with its UI, and the sample workflows, until Ctrl-C."""
    from pipeline.commands.dev import dev as run
    from pipeline.paths import home

    run(port=port, ui_port=ui_port, folder=folder or home(os.environ) / "dev", say=_print)


@app.command(epilog="Example: conduit demo --workflows 5")
def demo(
    workflows: Annotated[int, typer.Option(help="Running workflows.", min=1, max=50)] = 3,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's folder.")] = False,
) -> None:
    """Show the whole story on this machine with real parts, check it, and clean up."""
    from pipeline.commands.demo import demo as run

    run(environment=os.environ, say=_print, workflows=workflows, keep=keep)


def _session(as_json: bool) -> "Session":
    from pipeline.commands.session import Session
    from pipeline.report import Report

    return Session(environment=dict(os.environ), report=Report(quiet=as_json))


def _show(result: Any, as_json: bool, lines: Callable[[], list[str]]) -> None:
    _print(result.model_dump_json() if as_json else "\n".join(lines()))


def _print(text: str) -> None:
    print(text, flush=True)


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
    from pipeline.report import failure

    print(failure(error), file=sys.stderr)
    if as_json:
        _print(json.dumps({"error": type(error).__name__, "exit_code": error.exit_code, **error.fields()}))
    return error.exit_code


def _unforeseen(environment: Mapping[str, str]) -> int:
    """A fault of our own: say so, with what a report of it needs."""
    print(traceback.format_exc(), file=sys.stderr)
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
