"""Make a research repo from the template, whole or not at all."""

import keyword
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

from pipeline.errors import (
    DestinationExists,
    DestinationNotWritable,
    InvalidAlgorithmName,
    InvalidValue,
    NotConfigured,
)
from pipeline.git import OF_ANOTHER_REPOSITORY
from pipeline.models import AlgorithmName, Sha, Value, algorithm_name
from pipeline.shipped import shipped

PLACEHOLDER_ORGANISATION = "ORG"
ORGANISATION = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")

# What a repo, its tests and the worker host import or install: a package of the same name would hide it.
TAKEN = {
    *("conftest", "pipeline", "src", "tests"),
    *("hatchling", "numpy", "pydantic", "pytest", "ruff", "temporalio"),
    *("annotated_types", "pydantic_core", "typing_extensions", "typing_inspection"),
    *("google", "nexus_rpc", "nexusrpc", "protobuf", "types_protobuf"),
    *("iniconfig", "packaging", "pluggy", "pygments"),
}


class ResearchRepo(Value):
    """A research repo that was just made."""

    folder: Path
    algorithm: AlgorithmName
    package: str
    commit: Sha | None
    """The first commit; None where none was made."""
    no_commit_because: str = ""


def render(name: str, destination: Path, *, organisation: str = PLACEHOLDER_ORGANISATION) -> ResearchRepo:
    """Make the research repo of an algorithm in a folder that is empty or not there yet, and commit it.

    Where git cannot commit, or `destination` lies in another repository, there is no commit.

    Args:
        name: the algorithm's.
        destination: the new repo's own folder; its parents are made too.
        organisation: the GitHub organisation whose `algorithm-conduit` the repo calls.

    Raises:
        InvalidAlgorithmName: no algorithm can be called so; the error suggests a name.
        InvalidValue: no GitHub organisation can be called so.
        DestinationExists: something is there already.
        DestinationNotWritable: the folder cannot be made.
    """
    answers = _answers(name, organisation)
    destination = destination.absolute()
    try:
        _refuse_taken(destination)
        destination.parent.mkdir(parents=True, exist_ok=True)
        # A sibling, so that the last step is a rename on one file system.
        with tempfile.TemporaryDirectory(prefix=".conduit-new-", dir=destination.parent) as workshop:
            repo = Path(workshop) / name
            _copy(answers, repo)
            commit, no_commit_because = _commit(repo, destination)
            _move(repo, destination)
    except OSError as error:
        raise DestinationNotWritable(
            f"{destination} cannot be made.", why=str(error), now="Choose another folder with --into."
        ) from error
    return ResearchRepo(
        folder=destination,
        algorithm=name,
        package=answers["package"],
        commit=commit,
        no_commit_because=no_commit_because,
    )


def improve(repo: Path) -> Path:
    """Put the better model in place of the template's, uncommitted, as a researcher would; return the file.

    Raises:
        NotConfigured: the repo was not made from the template.
    """
    models = [enrolled.parent / "model.py" for enrolled in repo.glob("src/*/enrolled")]
    if len(models) != 1:
        raise NotConfigured(f"{repo} was not made by `conduit new`.", now="Make one with `conduit new NAME`.")
    shutil.copyfile(shipped("activity_template") / "better" / "model.py", models[0])
    return models[0]


def package_name(algorithm: str) -> str:
    """Name the Python package of an algorithm so that it can be imported and hides no other."""
    package = algorithm.replace("-", "_")
    hides = package in TAKEN or package in sys.stdlib_module_names or keyword.iskeyword(package)
    return f"algorithm_{package}" if hides or not package.isidentifier() else package


def suggest_name(name: str) -> str:
    """Make an algorithm name out of any text, as near to it as can be."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:63].strip("-") or "speaker-id"


def _answers(name: str, organisation: str) -> dict[str, str]:
    try:
        algorithm_name(name)
    except ValueError as error:
        suggestion = f"Try `conduit new {suggest_name(name)}`."
        raise InvalidAlgorithmName("That name cannot be used.", why=str(error), now=suggestion) from None
    if not ORGANISATION.fullmatch(organisation):
        raise InvalidValue(
            f"{organisation[:80]!r} cannot name a GitHub organisation.",
            why="Such a name has 1 to 39 letters, digits and single hyphens between them.",
            now="Give the name as it stands in the organisation's GitHub address.",
        )
    # Every question is answered here, so that no default of the user's own copier settings gets in.
    return {
        "algorithm": name,
        "package": package_name(name),
        "python": "3.11",
        "organisation": organisation,
    }


def _refuse_taken(destination: Path) -> None:
    empty_folder = destination.is_dir() and not any(destination.iterdir())
    if os.path.lexists(destination) and not empty_folder:
        raise DestinationExists(
            f"{destination} is there already.",
            why="A new repo never overwrites anything.",
            now="Choose another name, or another folder with --into.",
        )


def _copy(answers: dict[str, str], repo: Path) -> None:
    from copier import run_copy

    template = shipped("activity_template")
    run_copy(str(template), repo, data=answers, defaults=True, quiet=True, unsafe=False)


def _move(repo: Path, destination: Path) -> None:
    if destination.is_dir():
        destination.rmdir()
    repo.rename(destination)


def _commit(repo: Path, destination: Path) -> tuple[str | None, str]:
    """Make `repo` a repository and commit it: the commit, or None and the reason."""
    try:
        if _belongs_to_a_repository(destination):
            return None, f"{destination.parent} is in a git repository already."
        for arguments in (
            ("init", "--quiet", "--initial-branch=main"),
            ("add", "--all"),
            ("commit", "--quiet", "--message=Begin with the template of a research repo"),
        ):
            step = _git(repo, *arguments)
            if step.returncode != 0:
                return None, f"`git {arguments[0]}` failed: {step.stderr.strip()}"
        return _git(repo, "rev-parse", "HEAD").stdout.strip(), ""
    except FileNotFoundError:
        return None, "git is not installed."


def _belongs_to_a_repository(destination: Path) -> bool:
    inside = _git(destination.parent, "rev-parse", "--is-inside-work-tree").stdout.strip() == "true"
    return inside and _git(destination.parent, "check-ignore", "--quiet", destination.name).returncode != 0


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in OF_ANOTHER_REPOSITORY}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
