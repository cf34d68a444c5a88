"""A commit on its way: made, verified, built, released."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import (
    CommitOption,
    DetachOption,
    JsonOption,
    OutputOption,
    ProjectOption,
    RuntimeOption,
    checked,
    image_build,
    image_place,
    insistence,
    takes,
)
from pipeline.cli.output import session, show, write

if TYPE_CHECKING:
    from pipeline.build.wishes import ImageWishes

app = typer.Typer()
PANEL = "The route of a commit"


@app.command(rich_help_panel=PANEL, epilog="Example: conduit new speaker-id")
def new(
    name: Annotated[str, typer.Argument(help="The new algorithm's name.")],
    into: Annotated[Path | None, typer.Option("--into", help="Folder to make the repo in.")] = None,
    organisation: Annotated[str, typer.Option(help="GitHub organisation that holds the conduit.")] = "ORG",
    as_json: JsonOption = False,
) -> None:
    """Make a research repo that is ready to be delivered."""
    from pipeline.commands.new import new as run

    made = run(name, into, organisation)
    show(made, as_json, lambda: [f"Made {made.repo.folder}. Next:", *(f"  {s}" for s in made.next_steps)])


@app.command(rich_help_panel=PANEL, epilog="Example: conduit verify --commit HEAD~1")
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

    found = verify_commit(session(as_json), project, commit, against)
    write(found, output)
    show(found, as_json, found.lines)


@app.command(
    rich_help_panel=PANEL, epilog="Example: conduit build --registry ghcr.io/acme --output build.json"
)
@takes(image=image_build)
def build(
    image: "ImageWishes",
    project: ProjectOption = Path(),
    commit: CommitOption = None,
    runtime: RuntimeOption = None,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build a commit, never the working tree: an image or, for the runtime process, an environment.

    With the runtime docker the image is pushed, and the build record names it by its digest.
    """
    from pipeline.commands.build import build_commit

    made = build_commit(session(as_json), project, commit, image, runtime)
    write(made, output)
    show(made, as_json, lambda: [f"{made.algorithm}: build {made.build_id}"])


@app.command(
    rich_help_panel=PANEL,
    epilog="Example: conduit release build.json --algorithm speaker-id --commit $GITHUB_SHA",
)
@takes(image=image_place, insisting=insistence)
def release(
    record: Annotated[Path, typer.Argument(help="The build record that `conduit build` wrote.")],
    image: "ImageWishes",
    insisting: dict[str, Any],
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
    newest: Annotated[
        str | None,
        typer.Option(
            "--newest",
            envvar="CONDUIT_NEWEST",
            metavar="SHA",
            help="The commit that the branch has now; where it is another one, nothing is released.",
        ),
    ] = None,
    detach: DetachOption = False,
    as_json: JsonOption = False,
) -> None:
    """Release a build from its record: start, register, gate, ramp, promote, watch, retire.

    No research code runs in this command. The record may be a stranger's: what it says is checked.
    """
    from pipeline.commands.release import Expected, Wishes
    from pipeline.commands.release import release as run

    expected = checked(Expected, project=project, algorithm=algorithm, sha=commit, newest=newest, image=image)
    wishes = Wishes(detach=detach, **insisting)
    done = asyncio.run(run(session(as_json), record, expected, wishes))
    show(done, as_json, done.lines)


@app.command(rich_help_panel=PANEL, epilog="Example: conduit deliver")
@takes(image=image_build, insisting=insistence)
def deliver(
    image: "ImageWishes",
    insisting: dict[str, Any],
    project: ProjectOption = Path(),
    commit: CommitOption = None,
    skip_tests: Annotated[
        bool, typer.Option("--skip-tests", help="Do not run the repo's own tests.")
    ] = False,
    runtime: RuntimeOption = None,
    detach: DetachOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a commit the whole route: verify, build, start, register, gate, ramp, promote, watch, retire."""
    from pipeline.commands.deliver import deliver as run
    from pipeline.commands.release import Wishes

    wishes = Wishes(skip_tests=skip_tests, image=image, runtime=runtime, detach=detach, **insisting)
    done = asyncio.run(run(session(as_json), project, commit, wishes))
    show(done, as_json, done.lines)
