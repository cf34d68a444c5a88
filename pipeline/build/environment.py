"""An isolated environment for a repo's dependencies, made by uv and shared by builds that declare the same.

What goes in is decided by pure functions from the files that declare dependencies; the folder's name is the
hash of all that was decided, so that a code-only commit finds its environment ready.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import uv
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pipeline import paths
from pipeline.command import Outcome, for_installing, run
from pipeline.errors import EnvironmentFailed, NoDependencies
from pipeline.models import Value

# The worker host's own two, added to every environment at versions that the repo's own pins allow.
HOST_REQUIREMENTS = ("temporalio>=1.30", "pydantic>=2.10")
TEST_REQUIREMENTS = (*HOST_REQUIREMENTS, "pytest")
TEST_NAMES = ("dev", "test", "tests", "testing")

DECLARING = re.compile(
    r"pyproject\.toml|uv\.lock|uv\.toml|setup\.(py|cfg)|\.python-version|[\w.-]*requirements[\w.-]*\.(txt|in)"
)
# A dependency in a folder, or one that a build backend may take from any file.
LOCAL_DEPENDENCY = re.compile(
    r"^\s*-e\b|\bpath\s*=|\bworkspace\s*=\s*true|(?:^|\s@)\s*[\w.-]*/|\bfile:|\bdynamic\s*=\s*\[[^]]*dependencies",
    re.MULTILINE,
)
REFERENCE = re.compile(r"^\s*(?:-[rc]|--requirements?|--constraints?)[\s=]\s*(\S+)", re.MULTILINE)


class Source(StrEnum):
    """Which file says what the repo depends on; the first that is there wins."""

    LOCK = "uv.lock"
    PROJECT = "pyproject.toml"
    REQUIREMENTS = "requirements.txt"


class Plan(Value):
    """What an environment will hold."""

    source: Source
    groups: tuple[str, ...]
    extras: tuple[str, ...]
    files: tuple[str, ...]
    """Requirement files that are read beside the source."""
    added: tuple[str, ...]
    """Requirements added to the repo's own."""


class Ready(Value):
    """An environment that is there."""

    key: str
    """Hash of all that decided what it holds."""
    python: Path
    requirements: Path
    """Every package pinned, with hashes; what an image installs too."""


def plan(project: Path, *, tests: bool) -> Plan:
    """Decide from the files in `project` what its environment holds.

    Raises:
        NoDependencies: none of the files that can say it is there.
    """
    pyproject = _pyproject(project)
    source = _source(project, pyproject)
    return Plan(
        source=source,
        groups=_named_for_tests(pyproject.get("dependency-groups", {})) if tests else (),
        extras=_named_for_tests(pyproject.get("project", {}).get("optional-dependencies", {}))
        if tests
        else (),
        files=tuple(_test_files(project)) if tests else (),
        added=TEST_REQUIREMENTS if tests else HOST_REQUIREMENTS,
    )


def _pyproject(project: Path) -> dict[str, Any]:
    file = project / "pyproject.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _source(project: Path, pyproject: Mapping[str, Any]) -> Source:
    if _lock(project) is not None:
        return Source.LOCK
    if "project" in pyproject:
        return Source.PROJECT
    if (project / Source.REQUIREMENTS).exists():
        return Source.REQUIREMENTS
    raise NoDependencies(
        "The repo says nowhere what it depends on.",
        why="There is no uv.lock, no [project] table in pyproject.toml and no requirements.txt.",
        now="Add one of them; `uv init --bare && uv add temporalio` makes the first two.",
    )


def _lock(project: Path) -> Path | None:
    """The project's own lock file, or that of the uv workspace above it in the exported repository."""
    if (project / Source.LOCK).exists():
        return project / Source.LOCK
    for folder in project.parents:
        if (folder / Source.LOCK).exists() and _has_member(folder, project):
            return folder / Source.LOCK
    return None


def _has_member(root: Path, project: Path) -> bool:
    """Whether `root` is that of a uv workspace that the project belongs to; what lies above may be anybody's."""
    try:
        workspace = _pyproject(root)["tool"]["uv"]["workspace"]
        inside, outside = (
            any(project in root.glob(pattern.rstrip("/")) for pattern in workspace.get(key, ()))
            for key in ("members", "exclude")
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError, NotImplementedError):
        return False
    return inside and not outside


def _named_for_tests(tables: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(name for name in TEST_NAMES if name in tables)


def _test_files(project: Path) -> Iterator[str]:
    for kind in TEST_NAMES:
        for name in (f"requirements-{kind}.txt", f"{kind}-requirements.txt", f"requirements/{kind}.txt"):
            if (project / name).exists():
                yield name


def is_package(project: Path) -> bool:
    """Whether the project is installed, or only put on the path; the rule is uv's own."""
    pyproject = _pyproject(project)
    chosen = pyproject.get("tool", {}).get("uv", {}).get("package")
    if isinstance(chosen, bool):
        return chosen
    return "build-system" in pyproject or (project / "setup.py").exists()


def declaration(project: Path, tree: str) -> str:
    """Hash what decides the dependencies; local ones make every change of the tree count."""
    lock = _lock(project)
    files = {os.path.relpath(f, project): f.read_bytes() for f in _declaring(project)}
    if lock is not None:
        files[str(Source.LOCK)] = lock.read_bytes()
    local = any(LOCAL_DEPENDENCY.search(content.decode(errors="replace")) for content in files.values())
    hashed = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return _hash({"files": hashed, "tree": tree if local else ""})


def _declaring(project: Path) -> list[Path]:
    """The files that say what the project depends on, and those that they name in turn."""
    named = (file for file in project.iterdir() if DECLARING.fullmatch(file.name))
    included = (project / "requirements").rglob("*")
    found = [file for file in sorted((*named, *included)) if file.is_file()]
    for file in found:  # it grows meanwhile
        found += [other for other in _referenced(file) if other.is_file() and other not in found]
    return found


def _referenced(file: Path) -> list[Path]:
    names = REFERENCE.findall(file.read_text(encoding="utf-8", errors="replace"))
    return [Path(os.path.normpath(file.parent / name)) for name in names]


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def prepare(
    project: Path, tree: str, home: Path, environment: Mapping[str, str], *, tests: bool = False
) -> Ready:
    """Make the environment that `project` asks for, or find it made.

    Args:
        project: the algorithm's folder in an exported commit.
        tree: git's hash of that commit's tree.
        home: the conduit's own folder.
        environment: what uv runs in; it holds no secret but those that a package index needs.
        tests: with what the repo's own tests need.

    Raises:
        NoDependencies: the project declares none.
        EnvironmentFailed: uv could not do it; its words are in the error.
    """
    planned = plan(project, tests=tests)
    tool = _Uv(project, environment)
    base = tool.interpreter()
    # Where the name leads too: /usr/bin/python3 is another Python after the system was upgraded.
    python = [base, os.path.realpath(base)]
    key = _hash([declaration(project, tree), planned.model_dump(mode="json"), *python])[:24]
    folder = paths.environments(home) / key
    with paths.locked(folder.with_suffix(".lock")):
        if not ((folder / "ready").exists() and (folder / "venv/bin/python").exists()):
            try:
                _make(tool, planned, folder, base)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)  # what there is of it may be large
                raise
        (folder / "ready").touch()  # it is in use: `clearing` leaves it alone
    return Ready(key=key, python=folder / "venv" / "bin" / "python", requirements=folder / "requirements.txt")


def _make(tool: "_Uv", planned: Plan, folder: Path, base: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    requirements = folder / "requirements.txt"
    tool.pin(planned, requirements, base)
    tool("venv", "--quiet", "--python", base, folder / "venv")
    tool(
        *("pip", "install", "--quiet", "--python", folder / "venv", "--compile-bytecode"),
        *("--requirements", requirements),
    )


def install_project(project: Path, python: Path, target: Path, environment: Mapping[str, str]) -> None:
    """Install the repo's own package, without its dependencies, into a folder of its own.

    Raises:
        EnvironmentFailed: its build backend could not do it.
    """
    tool = _Uv(project, environment)
    tool("pip", "install", "--quiet", "--no-deps", "--python", python, "--target", target, project)


def newest_of_host(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The worker host's own packages as the package index has them now, `name==version`.

    Args:
        environment: what opens a private index.

    Raises:
        EnvironmentFailed: the index does not answer, or has none that fits.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.in"
        wanted.write_text("\n".join(HOST_REQUIREMENTS))
        asked = _Uv(Path(folder), for_installing(environment))._run(
            *(
                "pip",
                "compile",
                "--quiet",
                "--no-deps",
                "--no-annotate",
                "--no-header",
                "--no-emit-index-url",
                wanted,
            )
        )
    if asked.returncode != 0:
        raise EnvironmentFailed(
            "The package index did not give what every worker needs.",
            why=asked.tail(10),
            now="Set UV_DEFAULT_INDEX to an index that is reached from here, with SSL_CERT_FILE behind a proxy.",
        )
    return tuple(asked.stdout.split())


class _Uv:
    """uv, called in a project's folder."""

    def __init__(self, project: Path, environment: Mapping[str, str]) -> None:
        self.project = project
        self.environment = {**environment, "UV_NO_PROGRESS": "1"}

    def __call__(self, *arguments: str | Path) -> str:
        outcome = self._run(*arguments)
        if outcome.returncode != 0:
            raise EnvironmentFailed(
                "The repo's dependencies could not be installed.",
                why=f"`uv {' '.join(map(str, arguments[:2]))}` failed:\n{outcome.tail(30)}",
                now="Mend the declared dependencies; `uv sync` in the repo shows the same.",
            )
        return outcome.stdout

    def _run(self, *arguments: str | Path) -> Outcome:
        return run([uv.find_uv_bin(), *arguments], cwd=self.project, environment=self.environment)

    def interpreter(self) -> str:
        """The Python that the project asks for, by its path."""
        return self("python", "find", "--system").strip().splitlines()[-1]

    def pin(self, planned: Plan, requirements: Path, base: str) -> None:
        """Write every package that the environment holds, pinned and with hashes."""
        if planned.source is Source.LOCK:
            self._export_lock(planned, requirements)
            planned = planned.model_copy(update={"added": _missing(planned.added, requirements.read_text())})
            if planned.added:
                self._add(planned, requirements, base)
        else:
            self._compile(planned, requirements, base)

    def _export_lock(self, planned: Plan, requirements: Path) -> None:
        flags = [f"--group={name}" for name in planned.groups] + [
            f"--extra={name}" for name in planned.extras
        ]
        chosen = flags or ["--no-default-groups"]
        self(
            *("export", "--quiet", "--frozen", "--no-emit-project", "--no-editable", "--no-header", *chosen),
            *("--format", "requirements-txt", "--output-file", requirements),
        )

    def _add(self, planned: Plan, requirements: Path, base: str) -> None:
        """Pin what the lock lacks, held to what the lock has."""
        added = requirements.with_name("added.txt")
        wanted = requirements.with_name("added.in")
        wanted.write_text("\n".join(planned.added))
        self(*_compile_flags(base, added), "--constraints", requirements, wanted)
        locked = _pins(requirements.read_text())
        lines = [block for name, block in _pins(added.read_text()).items() if name not in locked]
        with requirements.open("a") as file:
            file.write("\n".join(lines) + "\n")

    def _compile(self, planned: Plan, requirements: Path, base: str) -> None:
        wanted = requirements.with_name("added.in")
        wanted.write_text("\n".join(planned.added))
        flags = [f"--group={name}" for name in planned.groups] + [
            f"--extra={name}" for name in planned.extras
        ]
        self(*_compile_flags(base, requirements), *flags, planned.source, *planned.files, wanted)


def _compile_flags(base: str, output: Path) -> tuple[str | Path, ...]:
    return (
        *("pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--python", base),
        *("--output-file", output),
    )


def _missing(added: tuple[str, ...], pinned: str) -> tuple[str, ...]:
    """Those of `added` whose package is not pinned yet, or pinned where it does not fit."""
    pins = _pins(pinned)
    return tuple(wanted for wanted in added if not _satisfied(Requirement(wanted), pins))


def _satisfied(wanted: Requirement, pins: Mapping[str, str]) -> bool:
    block = pins.get(canonicalize_name(wanted.name))
    if block is None:
        return False
    try:
        pinned = Requirement(block.split("\\")[0].split(" --hash")[0].strip())
    except InvalidRequirement:
        return True  # a package from a folder or a URL: uv checks it when it installs
    return all(wanted.specifier.contains(pin.version, prereleases=True) for pin in pinned.specifier)


def _pins(requirements: str) -> dict[str, str]:
    """The pinned packages of a requirements file: name to the lines that pin it, hashes included."""
    blocks: dict[str, str] = {}
    name = ""
    for line in requirements.splitlines():
        if match := re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\]\s*)?(==|@)", line):
            name = canonicalize_name(match[1])
            blocks[name] = line
        elif name and line.startswith(" "):
            blocks[name] += "\n" + line
    return blocks
