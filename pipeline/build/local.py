"""Builds for the `process` runtime: folders on this machine, each complete or not there at all.

<home>/builds/<algorithm>/<build ID>/
    source/        the exported commit; the workers' current folder is the algorithm's in it
    code/          the installed package of the repo, if it is one
    host/          the worker host of the toolkit that built it
    settings.json  what the host is told
    inputs.json    what the build was made from, to find it again
    build.json     the build record, written before the folder gets its name
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

import pipeline
from pipeline import errors, git, paths
from pipeline.build import environment as environments
from pipeline.build.described import REMEDIES, contract_from
from pipeline.build.examples import read_examples
from pipeline.command import for_installing, run, without_secrets
from pipeline.discovery import activity_modules
from pipeline.models import Build, Environment, Value, build_id
from pipeline.project import Project
from pipeline.worker.contract import Contract
from pipeline.worker.settings import HostSettings

HOST = Path(pipeline.__file__).parent
RECORD = "build.json"
STAGING = ".staging-"
FULL = (errno.ENOSPC, errno.EDQUOT)
JUST_MADE = 60.0
"""Seconds in which a new folder is not taken for one that broke off."""
Model = TypeVar("Model", bound=Value)


class Inputs(Value):
    """What a build is made from. Equal inputs need no second build."""

    sha: str
    path: str
    host: str


class Staged(Value):
    """A commit laid out on disk, not yet a build."""

    folder: Path
    project: Path
    code: tuple[Path, ...]
    environment: environments.Ready


def host_digest() -> str:
    """Hash the worker host's files: another host makes another artifact."""
    digest = hashlib.sha256()
    for file in _host_files():
        digest.update(str(file.relative_to(HOST)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _host_files() -> list[Path]:
    return [HOST / "__init__.py", *sorted((HOST / "worker").rglob("*.py"))]


def find(project: Project, home: Path) -> Build | None:
    """Find a complete build of this very commit, made by this very worker host, that could be started."""
    inputs = _inputs(project)
    folder = paths.builds(home, project.config.algorithm)
    any_digest = build_id(project.commit.sha, "*", placeholder=project.config.placeholder)
    for record in sorted(folder.glob(f"{any_digest}/{RECORD}")):
        build = _read(record, Build)
        same = build and _read(record.with_name("inputs.json"), Inputs) == inputs
        if build and same and _is_whole(build) and mark_used(record.parent):
            return build
    return None


def mark_used(folder: Path) -> bool:
    """Keep a build from being cleared away, as it is about to be used; False where it is not there."""
    try:
        os.utime(folder / RECORD)
    except FileNotFoundError:
        return False
    return True


def _is_whole(build: Build) -> bool:
    # The environment is shared, lies elsewhere and may have been cleared away.
    return isinstance(build.artifact, Environment) and build.artifact.python.exists()


def _read(file: Path, model: type[Model]) -> Model | None:
    try:
        return model.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None  # of another toolkit's making: as good as absent, it is built again


def _inputs(project: Project) -> Inputs:
    return Inputs(sha=project.commit.sha, path=project.commit.path, host=host_digest())


def build(project: Project, home: Path, environment: Mapping[str, str]) -> Build:
    """Build a commit, or return the build that it already has.

    Raises:
        UnsafeTree, NoDependencies, EnvironmentFailed: it cannot be laid out on disk.
        ImportFailed, NoActivity, DuplicateActivity, UntypedActivity: its contract cannot be read.
    """
    found = find(project, home)
    if found is not None:
        return found
    with staged(project, home, environment) as stage:
        return _finish(project, home, stage, read_contract(project, stage, environment))


@contextmanager
def _full_disk_told(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise errors.DestinationNotWritable(
            "The disk is full.",
            why=str(error),
            now=f"Free some of it, or set CONDUIT_HOME to a folder of another disk; it is {home} now.",
        ) from error


@contextmanager
def staged(
    project: Project, home: Path, environment: Mapping[str, str], *, tests: bool = False
) -> Iterator[Staged]:
    """Lay a commit out in a folder that is gone afterwards, unless it was moved to its place.

    Raises:
        DestinationNotWritable: the disk is full.
    """
    folder = paths.builds(home, project.config.algorithm)
    with _full_disk_told(home):
        folder.mkdir(parents=True, exist_ok=True)
        _clear_what_broke_off(folder)
        with (
            tempfile.TemporaryDirectory(prefix=STAGING, dir=folder, ignore_cleanup_errors=True) as name,
            _in_use(Path(name)),
        ):
            yield _stage(project, Path(name), home, for_installing(environment), tests=tests)


def _clear_what_broke_off(folder: Path) -> None:
    """Remove the folders of commands that were killed."""
    for left in folder.glob(f"{STAGING}*"):
        with contextlib.suppress(OSError):  # somebody lays a commit out in it, or removes it too
            if time.time() - left.stat().st_mtime > JUST_MADE:
                with _in_use(left):
                    shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _in_use(folder: Path) -> Iterator[None]:
    """Keep a folder from being taken for one that broke off.

    Raises:
        BlockingIOError: another process has it in use.
    """
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it when its holder dies
        yield
    finally:
        os.close(opened)


def _stage(
    project: Project, folder: Path, home: Path, environment: Mapping[str, str], *, tests: bool
) -> Staged:
    root = folder / "source"
    git.export(project.repository, project.commit.sha, root)
    source = root / project.commit.path
    tree = git.tree(project.repository, project.commit.sha)
    ready = environments.prepare(source, tree, home, environment, tests=tests)
    if environments.is_package(source):
        environments.install_project(source, ready.python, folder / "code", environment)
        code: tuple[Path, ...] = (folder / "code",)
    else:
        code = tuple(f for f in (source / "src", source) if f.is_dir())
    for file in _host_files():
        target = folder / "host" / "pipeline" / file.relative_to(HOST)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return Staged(folder=folder, project=source, code=code, environment=ready)


def search_path(code: tuple[Path, ...], host: Path) -> str:
    """The PYTHONPATH of a build: its own code first, the worker host last."""
    return ":".join(str(folder) for folder in (*code, host))


def read_contract(project: Project, stage: Staged, environment: Mapping[str, str]) -> Contract:
    """Read a staged commit's contract by importing it in its own environment.

    Raises:
        ImportFailed, NoActivity, DuplicateActivity, UntypedActivity: it cannot be read.
    """
    _refuse_hidden_host(stage)
    settings, output = stage.folder / "settings.json", stage.folder / "contract.json"
    settings.write_text(host_settings(project, stage).model_dump_json(indent=2))
    pythonpath = search_path(stage.code, stage.folder / "host")
    try:
        outcome = run(
            [
                *(stage.environment.python, "-m", "pipeline.worker", "describe"),
                *("--settings", settings, "--output", output),
            ],
            cwd=stage.project,
            environment={**without_secrets(environment), "PYTHONPATH": pythonpath},
            timeout=project.config.start_timeout.total_seconds(),
        )
    except subprocess.TimeoutExpired:
        raise errors.ImportFailed(
            "The activity modules did not finish importing.",
            why=f"After {project.config.start_timeout} they were still at it.",
            now="Move long work out of the modules into the `setup` hook, or raise `start-timeout`.",
        ) from None
    return contract_from(output, outcome.tail())


def _refuse_hidden_host(stage: Staged) -> None:
    for folder in (*stage.code, stage.project):
        if (folder / "pipeline" / "__init__.py").exists() or (folder / "pipeline.py").exists():
            raise errors.ImportFailed(
                "The repo has a module called 'pipeline' at its top.",
                why="The worker host's own package is called so, and the repo's would hide it.",
                now="Rename it, or move it into the algorithm's package.",
            )


def host_settings(project: Project, stage: Staged) -> HostSettings:
    """What the worker host of a staged commit is told."""
    config = project.config
    return HostSettings(
        task_queue=config.algorithm,
        activities=config.activities or _discovered(stage.project),
        setup=config.setup,
        codec=config.codec,
        compare=config.gates.replay.compare,
        max_concurrent_activities=config.max_concurrent_activities,
        batch_slots=config.batch_slots,
        grace=config.grace.total_seconds(),
        checkpoint_store=config.checkpoint_store,
        own_queue=config.own_queue,
        own_heartbeats=config.own_heartbeats,
    )


def _discovered(source: Path) -> tuple[str, ...]:
    modules = (file for file in source.rglob("*.py") if file.is_file())
    files = {file.relative_to(source).as_posix(): file.read_text(errors="replace") for file in modules}
    found = activity_modules(files)
    if not found:
        raise errors.NoActivity(
            "The repo has no activity.",
            why="No function under @activity.defn was found in any of its modules.",
            now=REMEDIES[errors.NoActivity],
        )
    return found


def _finish(project: Project, home: Path, stage: Staged, contract: Contract) -> Build:
    """Derive the ID, write the record, and give the folder its name: until then there is no build."""
    pinned = stage.environment.requirements.read_text()
    digest = _artifact_digest(git.tree(project.repository, project.commit.sha), project, pinned, stage)
    identity = build_id(project.commit.sha, digest, placeholder=project.config.placeholder)
    final = paths.build(home, project.config.algorithm, identity)
    record = Build(
        algorithm=project.config.algorithm,
        build_id=identity,
        commit=project.commit,
        contract=contract,
        host=host_settings(project, stage),
        workers=project.workers,
        release=project.config.release,
        gates=project.config.gates,
        examples=read_examples(stage.project, project.config.gates.examples, contract),
        artifact=Environment(
            digest=digest,
            python=stage.environment.python,
            code=tuple(final / f.relative_to(stage.folder) for f in stage.code),
            source=final / stage.project.relative_to(stage.folder),
        ),
    )
    (stage.folder / "inputs.json").write_text(_inputs(project).model_dump_json())
    (stage.folder / RECORD).write_text(record.model_dump_json(indent=2))
    _clear_lock_left(final)
    try:
        stage.folder.rename(final)
    except OSError:
        if not (final / RECORD).exists():
            raise
        # It was built before, or by somebody else at the same time. What another toolkit wrote of it may not be
        # read any more; its files are the same, and workers may run in them.
        for name in ("inputs.json", RECORD):
            (stage.folder / name).replace(final / name)
    else:
        stage.folder.mkdir()  # the temporary folder's owner expects to remove one
    return record


def _clear_lock_left(folder: Path) -> None:
    """Remove a lock and its folders, made anew by who wanted to clear a build that somebody else had cleared away."""
    if not (folder / RECORD).exists():
        with contextlib.suppress(OSError):  # somebody else's build has come meanwhile, or nothing was there
            (folder / "workers" / "lock").unlink()
            (folder / "workers").rmdir()
            folder.rmdir()


def _artifact_digest(tree: str, project: Project, pinned: str, stage: Staged) -> str:
    # The environment counts by its key: its path is another on each machine.
    parts = (tree, project.commit.path, pinned, stage.environment.key, host_digest())
    return "sha256:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()
