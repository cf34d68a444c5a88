"""What `conduit onboard` adds to a repo, worked out from its files alone."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.discovery import activity_modules
from pipeline.errors import InvalidAlgorithmName, InvalidValue, NoActivity, NotConfigured
from pipeline.github import escape
from pipeline.models import AlgorithmName, Value, algorithm_name

CALLERS = Path(__file__).with_name("callers")
WORKFLOWS = ".github/workflows"
PYPROJECT = "pyproject.toml"

PLACEHOLDER = "ORG/algorithm-conduit/.github/workflows/"
TOOLKIT = re.compile(r"(?P<repository>[A-Za-z0-9-]+/[A-Za-z0-9_.-]+)@(?P<ref>[A-Za-z0-9_./-]+)")


class Repo(Value):
    """What is known of a repo."""

    name: str = Field(description="owner/name")
    default_branch: str
    path: str = Field(default="", description="folder of the algorithm, empty at the root")
    files: Mapping[str, str] = Field(
        description="text by path from the root; files that nobody read are empty"
    )


class Plan(Value):
    """What will be added, and what it rests on."""

    algorithm: AlgorithmName
    activities: tuple[str, ...]
    """Modules with activities."""
    branch: str
    """Where the pull request comes from."""
    files: Mapping[str, str]
    """Text by path from the repo's root; empty where nothing is missing."""
    kept: tuple[str, ...]
    """Paths that are there already and stay as they are."""


def plan(repo: Repo, toolkit: str) -> Plan:
    """Work out what a repo lacks to be delivered.

    Args:
        repo: the repo as its default branch is.
        toolkit: `OWNER/REPO@REF` of the conduit whose workflows it will call.

    Raises:
        NoActivity: the repo has no activity that a worker could find.
        NotConfigured: its pyproject.toml is not TOML.
        InvalidAlgorithmName, InvalidValue: no name can be had, or the toolkit's address is none.
    """
    pyproject_path = _inside(repo.path, PYPROJECT)
    pyproject = repo.files.get(pyproject_path, "")
    configured = _configured(pyproject, pyproject_path)
    activities = _activities(repo)
    algorithm = _algorithm(configured, repo)
    # At the root there is one algorithm; a folder is one of several, each with workflows of its own.
    suffix = f"-{algorithm}" if repo.path else ""
    wanted = {
        f"{WORKFLOWS}/conduit{suffix}.yml": _caller("conduit.yml", toolkit, repo),
        f"{WORKFLOWS}/conduit{suffix}-rollback.yml": _caller("conduit-rollback.yml", toolkit, repo),
    }
    kept = tuple(sorted(path for path in wanted if path in repo.files))
    added = {path: text for path, text in wanted.items() if path not in kept}
    if not configured:
        added[pyproject_path] = with_table(pyproject, algorithm, activities)
    branch = f"conduit/onboard{suffix}"
    return Plan(algorithm=algorithm, activities=activities, branch=branch, files=added, kept=kept)


def workflow(file: str, toolkit: str, *, branch: str = "main", path: str = "") -> str:
    """The workflow that a research repo holds, for one branch and folder.

    Raises:
        InvalidValue: the toolkit's address is none.
    """
    address = TOOLKIT.fullmatch(toolkit)
    if address is None:
        raise InvalidValue(
            f"{toolkit[:80]!r} does not say where the conduit is.",
            why="A workflow is called by repository and ref.",
            now="Give it as OWNER/REPO@REF, such as acme/algorithm-conduit@v1.",
        )
    text = (CALLERS / file).read_text(encoding="utf-8")
    text = text.replace(PLACEHOLDER, f"{address['repository']}/.github/workflows/")
    text = text.replace("@v1\n", f"@{address['ref']}\n")
    text = (
        text if branch == "main" else text.replace("branches: [main]", f"branches: [{_yaml_pattern(branch)}]")
    )
    return text if not path else _with_input(text, "path", path)


def with_table(pyproject: str, algorithm: str, activities: tuple[str, ...]) -> str:
    """Add `[tool.conduit]` to the end of a pyproject.toml, and leave the rest as it is.

    Raises:
        NotConfigured: the file's form does not take a table at its end.
    """
    before = pyproject.rstrip("\n") + "\n\n" if pyproject.strip() else ""
    modules = ", ".join(map(_quoted, activities))
    table = f"[tool.conduit]\nalgorithm = {_quoted(algorithm)}\nactivities = [{modules}]\n"
    expected = {"algorithm": algorithm, "activities": list(activities)}
    try:
        read = tomllib.loads(before + table)
    except tomllib.TOMLDecodeError as broken:
        raise _not_toml(PYPROJECT, str(broken)) from broken
    assert read["tool"]["conduit"] == expected  # noqa: S101  # else our quoting is wrong
    return before + table


def description(planned: Plan) -> str:
    """The body of the pull request, in markdown."""
    found = [f"- the algorithm: {escape.code(planned.algorithm)}"]
    found += [f"- activities in {escape.code(module)}" for module in planned.activities]
    added = [f"- {escape.code(path)}" for path in planned.files]
    kept = [f"- {escape.code(path)}, as it is" for path in planned.kept]
    return "\n".join(
        (
            "Once this is merged, every push to the default branch is tested, built and released to the "
            "running workflows, and every pull request is told what it would break.",
            *("", "To undo a release: Actions → Roll back → Run workflow."),
            *(
                "",
                "Before the merge, make the environment `production` in the repo's settings, for the default branch",
            ),
            "alone, with the secret `TEMPORAL_ADDRESS`, what else Temporal asks for, and in `DOCKER_HOST` where "
            "the workers run.",
            *("", "### Found", "", *found),
            *("", "### Added", "", *added),
            *(("", "### Kept", "", *kept) if kept else ()),
            "",
        )
    )


def derived_name(origin: str) -> str:
    """Make an algorithm's name from the last part of a repo's name or folder.

    Raises:
        InvalidAlgorithmName: nothing of it can be used.
    """
    last = origin.rstrip("/").rpartition("/")[2].lower()
    name = re.sub(r"[^a-z0-9]+", "-", last).strip("-")[:63].rstrip("-")
    return _valid_name(name, f"No algorithm's name can be made of {origin[:80]!r}.")


def _algorithm(configured: Mapping[str, Any], repo: Repo) -> str:
    if "algorithm" in configured:
        return _valid_name(
            str(configured["algorithm"]), "The algorithm's name in pyproject.toml cannot be used."
        )
    return derived_name(repo.path or repo.name)


def _valid_name(name: str, what: str) -> str:
    try:
        return algorithm_name(name)
    except ValueError as invalid:
        now = "Name it in pyproject.toml under [tool.conduit], and run this again."
        raise InvalidAlgorithmName(what, why=str(invalid), now=now) from invalid


def _caller(file: str, toolkit: str, repo: Repo) -> str:
    return workflow(file, toolkit, branch=repo.default_branch, path=repo.path)


def _activities(repo: Repo) -> tuple[str, ...]:
    prefix = f"{repo.path}/" if repo.path else ""
    inside = {path.removeprefix(prefix): text for path, text in repo.files.items() if path.startswith(prefix)}
    found = activity_modules(inside)
    if not found:
        looked = sum(path.endswith(".py") for path in inside)
        raise NoActivity(
            f"{repo.name} has no activity yet, so no pull request was opened.",
            why=f"{looked} Python files were looked at{f' in {repo.path}' if repo.path else ''}; "
            "none outside its tests has a function at module level under @activity.defn of temporalio.",
            now="Put @activity.defn over the function that callers need (`conduit new` shows one), push, and "
            "run this again; for a folder inside the repo, name the folder.",
        )
    return found


def _configured(pyproject: str, path: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(pyproject).get("tool", {}).get("conduit", {})
    except (tomllib.TOMLDecodeError, AttributeError) as broken:
        raise _not_toml(path, str(broken)) from broken
    return table if isinstance(table, dict) else {}


def _not_toml(path: str, why: str) -> NotConfigured:
    return NotConfigured(
        f"{path} of the repo cannot take a [tool.conduit] table.",
        why=why,
        now="Repair the file in the repo, and run this again.",
    )


def _inside(path: str, file: str) -> str:
    return f"{path}/{file}" if path else file


def _yaml_pattern(branch: str) -> str:
    # JSON is YAML. A backslash takes the meaning that filter patterns give to a character.
    return json.dumps(re.sub(r"([*?+\[\]!\\])", r"\\\1", branch))


def _with_input(text: str, name: str, value: str) -> str:
    line = f"      {name}: {json.dumps(value)}\n"
    if "    with:\n" in text:
        return text.replace("    with:\n", f"    with:\n{line}")
    return text.replace("    secrets: inherit", f"    with:\n{line}    secrets: inherit")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
