"""The command line. Each command imports what it needs when it runs, so that `--help` answers at once."""

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

import typer

from pipeline import __version__
from pipeline.errors import ConduitError

Model = TypeVar("Model")

if TYPE_CHECKING:
    from pipeline.build.wishes import ImageWishes
    from pipeline.commands.control import Word
    from pipeline.commands.release import Wishes
    from pipeline.commands.session import Session

Runtime = Literal["process", "docker"]

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
DetachOption = Annotated[
    bool, typer.Option("--detach", help="Leave the release to this machine's `conduit controller`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the history.", metavar="TEXT")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", help="File to write the result to, as JSON.", metavar="FILE")
]
RuntimeOption = Annotated[
    Runtime | None,
    typer.Option("--runtime", envvar="CONDUIT_RUNTIME", help="In place of the configuration's."),
]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        envvar="CONDUIT_REGISTRY",
        metavar="HOST/NAMESPACE",
        help="Registry of the images; the algorithm's name is put behind it.",
    ),
]
RepositoryOption = Annotated[
    str | None,
    typer.Option(
        "--repository",
        envvar="CONDUIT_REPOSITORY",
        metavar="HOST/NAME",
        help="Whole name of the image, without a tag, in place of --registry.",
    ),
]
NoPushOption = Annotated[
    bool,
    typer.Option("--no-push", help="Leave the image in the Docker Engine; it can be released there only."),
]
PlatformOption = Annotated[
    str | None,
    typer.Option("--platform", envvar="CONDUIT_PLATFORM", help="Of the image, such as linux/arm64."),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base", envvar="CONDUIT_BASE", metavar="IMAGE", help="Image to build upon, best by digest."
    ),
]
CacheFromOption = Annotated[
    list[str] | None,
    typer.Option("--cache-from", envvar="CONDUIT_CACHE_FROM", help="As docker buildx takes it; repeatable."),
]
CacheToOption = Annotated[
    list[str] | None,
    typer.Option("--cache-to", envvar="CONDUIT_CACHE_TO", help="As docker buildx takes it; repeatable."),
]
CaOption = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="CONDUIT_CA",
        exists=True,
        dir_okay=False,
        help="Certificates (PEM) that the image's build trusts where it downloads packages.",
    ),
]
SecretOption = Annotated[
    list[str] | None,
    typer.Option("--secret", metavar="ID=FILE", help="A secret of the image's build; repeatable."),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Also a quarantined build or an older commit; needs --reason.")
]
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
def verify(
    project: ProjectOption = Path(),
    commit: CommitOption = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="REVISION", help="Tell what changes for callers since then."),
    ] = None,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a commit's own tests in an environment of its own, and read its contract."""
    from pipeline.commands.verify import verify_commit

    found = verify_commit(_session(as_json), project, commit, against)
    _write(found, output)
    _show(found, as_json, found.lines)


@app.command(epilog="Example: conduit build --registry ghcr.io/acme --output build.json")
def build(
    project: ProjectOption = Path(),
    commit: CommitOption = None,
    runtime: RuntimeOption = None,
    registry: RegistryOption = None,
    repository: RepositoryOption = None,
    no_push: NoPushOption = False,
    platform: PlatformOption = None,
    base: BaseOption = None,
    cache_from: CacheFromOption = None,
    cache_to: CacheToOption = None,
    ca: CaOption = None,
    secret: SecretOption = None,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build a commit, never the working tree: an image or, for the runtime process, an environment.

    With the runtime docker the image is pushed, and the build record names it by its digest.
    """
    from pipeline.commands.build import build_commit

    image = _image_wishes(
        registry=registry,
        repository=repository,
        push=not no_push,
        platform=platform,
        base=base,
        cache_from=cache_from or (),
        cache_to=cache_to or (),
        ca=ca,
        secrets=_secrets(secret or []),
    )
    made = build_commit(_session(as_json), project, commit, image, runtime)
    _write(made, output)
    _show(made, as_json, lambda: [f"{made.algorithm}: build {made.build_id}"])


@app.command(epilog="Example: conduit release build.json --algorithm speaker-id --commit $GITHUB_SHA")
def release(
    record: Annotated[Path, typer.Argument(help="The build record that `conduit build` wrote.")],
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", help="Refuse a record of another algorithm.")
    ] = None,
    commit: Annotated[
        str | None, typer.Option("--commit", metavar="SHA", help="Refuse a record of another commit.")
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option("--project", help="A clone of the research repo, to believe instead of the record."),
    ] = None,
    registry: RegistryOption = None,
    repository: RepositoryOption = None,
    newest: Annotated[
        str | None,
        typer.Option(
            "--newest",
            envvar="CONDUIT_NEWEST",
            metavar="SHA",
            help="The commit that the branch has now; where it is another one, nothing is released.",
        ),
    ] = None,
    force: ForceOption = False,
    reason: ReasonOption = "",
    detach: DetachOption = False,
    as_json: JsonOption = False,
) -> None:
    """Release a build from its record: start, register, gate, ramp, promote, watch, retire.

    No research code runs in this command. The record may be a stranger's: what it says is checked.
    """
    from pipeline.commands.release import Expected
    from pipeline.commands.release import release as run

    image = _image_wishes(registry=registry, repository=repository)
    expected = _checked(
        Expected, project=project, algorithm=algorithm, sha=commit, newest=newest, image=image
    )
    wishes = _release_wishes(force=force, reason=reason, detach=detach)
    done = asyncio.run(run(_session(as_json), record, expected, wishes))
    _show(done, as_json, done.lines)


@app.command(epilog="Example: conduit deliver")
def deliver(
    project: ProjectOption = Path(),
    commit: CommitOption = None,
    skip_tests: Annotated[
        bool, typer.Option("--skip-tests", help="Do not run the repo's own tests.")
    ] = False,
    force: ForceOption = False,
    reason: ReasonOption = "",
    runtime: RuntimeOption = None,
    registry: RegistryOption = None,
    repository: RepositoryOption = None,
    no_push: NoPushOption = False,
    platform: PlatformOption = None,
    base: BaseOption = None,
    cache_from: CacheFromOption = None,
    cache_to: CacheToOption = None,
    ca: CaOption = None,
    secret: SecretOption = None,
    detach: DetachOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a commit the whole route: verify, build, start, register, gate, ramp, promote, watch, retire."""
    from pipeline.commands.deliver import deliver as run

    image = _image_wishes(
        registry=registry,
        repository=repository,
        push=not no_push,
        platform=platform,
        base=base,
        cache_from=cache_from or (),
        cache_to=cache_to or (),
        ca=ca,
        secrets=_secrets(secret or []),
    )
    wishes = _release_wishes(
        force=force, reason=reason, skip_tests=skip_tests, image=image, runtime=runtime, detach=detach
    )
    done = asyncio.run(run(_session(as_json), project, commit, wishes))
    _show(done, as_json, done.lines)


@app.command(epilog='Example: conduit rollback speaker-id --reason "wrong speakers since noon"')
def rollback(
    algorithm: Annotated[
        str | None,
        typer.Argument(help="The algorithm's name; --project has it already.", metavar="ALGORITHM"),
    ] = None,
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
    done = asyncio.run(run(_session(as_json), name, to or None, reason))
    _show(done, as_json, done.lines)


def _tell(algorithm: str, word: "Word", reason: str, as_json: bool) -> None:
    from pipeline.commands.control import tell

    told = asyncio.run(tell(_session(as_json), algorithm, word, reason))
    _show(told, as_json, told.lines)


@app.command(epilog='Example: conduit pause speaker-id --reason "the database is being moved"')
def pause(algorithm: AlgorithmArgument, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Keep the running release from going forward; a build that turns bad is rolled back all the same."""
    _tell(algorithm, "pause", reason, as_json)


@app.command(epilog="Example: conduit resume speaker-id")
def resume(algorithm: AlgorithmArgument, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Let a paused or held release go on; its step is judged anew."""
    _tell(algorithm, "resume", reason, as_json)


@app.command(epilog='Example: conduit promote speaker-id --reason "urgent correction"')
def promote(algorithm: AlgorithmArgument, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Make the release's build Current now, without more of its ramp; in the watch, end the watch."""
    _tell(algorithm, "promote", reason, as_json)


@app.command(epilog='Example: conduit abort speaker-id --reason "wrong model file"')
def abort(algorithm: AlgorithmArgument, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Stop the running release: calls go to the build before it, and its build is quarantined."""
    _tell(algorithm, "abort", reason, as_json)


@app.command(epilog="Example: conduit retire speaker-id --keep 1")
def retire(
    algorithm: AlgorithmArgument,
    keep: Annotated[
        int | None, typer.Option("--keep", min=0, max=50, help="Earlier good builds whose workers stay.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Stop workers of this machine that are idle and past retention, and delete versions that are too many."""
    from pipeline.commands.retire import retire as run

    done = asyncio.run(run(_session(as_json), algorithm, keep))
    _show(done, as_json, done.lines)


@app.command(epilog="Example: conduit controller")
def controller() -> None:
    """Host this machine's releases until stopped: `deliver --detach` leaves them to it."""
    from pipeline.commands.controller import controller as run

    asyncio.run(run(_session(as_json=False), _print))


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
        if as_json:
            _print_json(json.dumps({"algorithms": names}))
        else:
            _print("\n".join(names) or "No algorithm yet.")
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
        _print_json(json.dumps([event.model_dump(mode="json") for event in events]))
    else:
        _print("\n".join(tables.history(events)))


@app.command(epilog="Example: conduit backfill speaker-id --build 6459068e2c62 --output again.jsonl")
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

    wishes = _checked(
        BackfillWishes, build=build, output=output, yes=yes, batch=batch, priority=priority, most=most
    )
    done = asyncio.run(run(_session(as_json), algorithm, wishes))
    _show(done, as_json, done.lines)


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


contract_app = typer.Typer(invoke_without_command=True, no_args_is_help=False)
app.add_typer(contract_app, name="contract", epilog="Example: conduit contract --live speaker-id")

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

    _one_of(live, file, commit)
    where = command.Where(file=file, live=live, project=project, commit=commit)
    shown = asyncio.run(command.show(_session(as_json), where))
    _show(shown.contract if as_json else shown, as_json, shown.lines)


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

    _one_of(against, against_commit, against_live)
    _one_of(file, commit)
    named = against or against_commit or against_live
    old = command.Where(file=against, live=against_live, project=project, commit=against_commit)
    new = command.Where(file=file, project=project, commit=commit)
    found = asyncio.run(command.diff(_session(as_json), new, old if named else None))
    _show(found, as_json, found.lines)
    if found.breaking:
        raise typer.Exit(ContractBroken.exit_code)


def _one_of(*values: object) -> None:
    if sum(value is not None for value in values) > 1:
        raise typer.BadParameter("these options exclude each other")


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


@app.command(epilog="Example: conduit comment verified.json")
def comment(
    verified: Annotated[Path, typer.Argument(help="What `conduit verify --output` wrote.")],
    as_json: JsonOption = False,
) -> None:
    """Say on the pull request that this job is about what it changes for callers; for GitHub Actions.

    No research code runs in this command. The file may be a stranger's: what it says is checked.
    """
    from pipeline.commands.comment import comment as run

    done = run(_session(as_json), verified)
    _show(done, as_json, done.lines)


@app.command(
    epilog="Example: conduit attested build.json --workflow acme/algorithm-conduit/.github/workflows/conduit.yml"
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

    done = run(_session(as_json), record, workflow)
    _show(done, as_json, done.lines)


@app.command(epilog="Example: conduit placeholder speaker-id --contract speaker_id.py")
def placeholder(
    algorithm: AlgorithmArgument,
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
    registry: RegistryOption = None,
    base: BaseOption = None,
    ca: CaOption = None,
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
    image = _image_wishes(registry=registry, base=base, ca=ca)
    wishes = Wishes(image=image, reason=reason, in_production=in_production)
    done = asyncio.run(run(_session(as_json), given, wishes))
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


def _image_wishes(**given: Any) -> "ImageWishes":
    from pipeline.build.wishes import ImageWishes

    return _checked(ImageWishes, **given)


def _release_wishes(**given: Any) -> "Wishes":
    from pipeline.commands.release import Wishes

    if given["force"] and not given["reason"]:
        raise typer.BadParameter("--force needs --reason", param_hint="--force")
    return Wishes(**given)


def _checked(kind: type[Model], **given: Any) -> Model:
    """Make a model of options; what it does not take is a wrong command line."""
    from pydantic import ValidationError

    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(first["msg"], param_hint=f"--{first['loc'][0]}") from None


def _secrets(given: list[str]) -> dict[str, str]:
    pairs = [secret.partition("=") for secret in given]
    if not all(file for _, _, file in pairs):
        raise typer.BadParameter("give it as ID=FILE", param_hint="--secret")
    return {name: file for name, _, file in pairs}


def _write(result: Any, output: Path | None) -> None:
    from pipeline.commands.output import write

    if output is not None:
        write(result, output)


def _show(result: Any, as_json: bool, lines: Callable[[], list[str]]) -> None:
    if as_json:
        _print_json(result.model_dump_json())
    else:
        _print("\n".join(lines()))


def _print_json(text: str) -> None:
    # The runner of a CI job reads commands out of what is printed; in JSON the bracket may be spelt otherwise.
    print(text.replace("##[", "##\\u005b"), flush=True)


def _print(text: str) -> None:
    from pipeline.report import inert

    print(inert(text), flush=True)


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
        _print_json(
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
