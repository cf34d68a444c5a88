"""Workers as detached processes of this machine.

They outlive the command that starts them. Each has a record and a log in its build's folder, one for each of
Temporal's namespaces, and is found again by the pid *and* the start time in its record: a pid alone may belong
to somebody else by now.
"""

import contextlib
import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import psutil
from pydantic import ValidationError

from pipeline import paths
from pipeline.build import clearing
from pipeline.build.local import RECORD, mark_used, search_path
from pipeline.command import end_of, without_secrets
from pipeline.errors import NoLiveWorker
from pipeline.models import Build, Environment, Value
from pipeline.runtimes import LocalWorker, RuntimeOptions
from pipeline.runtimes.portable import namespace

AFTER_GRACE = 15.0
"""Seconds that a worker gets after its grace before it is killed: its own hard limit comes first."""
STARTING = "{}.starting"
"""What a start leaves behind that is killed before it could write down whom it started."""
CLOCK_TOLERANCE = 1.0
"""Seconds by which a start time may seem to move when the system's clock is set."""


class Record(Value):
    """Where a worker process is to be found."""

    replica: int
    pid: int
    started: float
    """Seconds since the epoch, as the system tells it of the process."""


class ProcessRuntime:
    """See `pipeline.runtimes.Runtime`."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._home = options.home
        self._connection = options.connection
        self._environment = {**without_secrets(options.environment), **options.connection}
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, build: Build, replicas: int) -> None:
        """Start what is missing of `replicas` workers; see `Runtime.start`."""
        artifact = build.artifact
        folder = self._workers(build.algorithm, build.build_id)
        if (
            not isinstance(artifact, Environment)
            or not artifact.python.exists()
            or not artifact.source.exists()
            or not mark_used(_home(folder))
        ):
            raise NoLiveWorker(
                f"Build {build.build_id} cannot be started on this machine.",
                why="Its environment is not here.",
                now=f"Check its commit out and run `conduit deliver --commit {build.commit.short}`.",
            )
        with paths.locked(_lock(folder)):
            folder.mkdir(exist_ok=True)
            self._adopt(folder)
            for replica in range(1, replicas + 1):
                if self._is_free(folder / f"{replica}.json"):
                    self._launch(build, artifact, folder, replica)
        records = paths.builds(self._home, build.algorithm).glob("*/workers/*/*.json")
        at_work = {_home(file.parent).name for file in records if self._process(_record(file))}
        clearing.clear(self._home, build.algorithm, {build.build_id, *at_work})

    def _launch(self, build: Build, artifact: Environment, folder: Path, replica: int) -> None:
        _marker(folder, replica).touch()
        arguments = [
            str(artifact.python),
            "-m",
            "pipeline.worker",
            "run",
            "--settings",
            _settings(folder),
        ]
        with _new_log(folder / f"{replica}.log") as log:
            child = subprocess.Popen(
                arguments,
                cwd=artifact.source,
                env={
                    **self._environment,
                    "PYTHONPATH": search_path(artifact.code, _home(folder) / "host"),
                    "PYTHONUNBUFFERED": "1",
                    "TEMPORAL_DEPLOYMENT_NAME": build.algorithm,
                    "TEMPORAL_WORKER_BUILD_ID": build.build_id,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children[child.pid] = child
        started = psutil.Process(child.pid).create_time()
        _write(folder / f"{replica}.json", Record(replica=replica, pid=child.pid, started=started))
        _marker(folder, replica).unlink()

    def _adopt(self, folder: Path) -> None:
        """Write the records of workers whose starter was killed before it could."""
        settings = _settings(folder)
        live = [p for file in folder.glob("*.json") if (p := self._process(_record(file)))]
        for process in psutil.process_iter(["cmdline"]):
            ours = settings in (process.info["cmdline"] or ()) and _leads_its_session(process.pid)
            if ours and process not in live:
                replica = next(n for n in itertools.count(1) if self._is_free(folder / f"{n}.json"))
                record = Record(replica=replica, pid=process.pid, started=process.create_time())
                _write(folder / f"{replica}.json", record)
        for marker in folder.glob(STARTING.format("*")):
            marker.unlink()

    def _is_free(self, record: Path) -> bool:
        return self._process(_record(record)) is None

    def workers(self, algorithm: str) -> tuple[LocalWorker, ...]:
        """See `Runtime.workers`."""
        for folder in {file.parent for file in self._of(algorithm, STARTING.format("*"))}:
            with paths.locked(_lock(folder)):  # of a start that goes on now, or of one that was killed
                self._adopt(folder)
        records = self._of(algorithm, "*.json")
        found = [self._seen(_home(file.parent).name, record) for file in records if (record := _record(file))]
        return tuple(sorted(found, key=lambda worker: (worker.started or datetime.min, worker.replica)))

    def _of(self, algorithm: str, pattern: str) -> Iterator[Path]:
        return paths.builds(self._home, algorithm).glob(f"*/workers/{self._namespace}/{pattern}")

    def _seen(self, build_id: str, record: Record) -> LocalWorker:
        alive = self._process(record) is not None
        child = self._children.get(record.pid)
        code = child.poll() if child else None  # not before it was seen dead: it may die in between
        return LocalWorker(
            build_id=build_id,
            replica=record.replica,
            handle=f"pid {record.pid}",
            alive=alive,
            started=datetime.fromtimestamp(record.started, UTC),
            ended_because="" if code is None else _explain(code),
        )

    def stop(self, algorithm: str, build_id: str) -> None:
        """See `Runtime.stop`."""
        folder = self._workers(algorithm, build_id)
        if not folder.exists():
            return  # never started here, and a lock would make a folder that looks like a build
        with paths.locked(_lock(folder)):
            self._adopt(folder)
            running = [process for file in folder.glob("*.json") if (process := self._process(_record(file)))]
            for process in running:
                _signal(process.terminate)
            left = self._wait(running, self._grace(algorithm, build_id) + AFTER_GRACE)
            for process in left:
                _signal(process.kill)
            self._wait(left, AFTER_GRACE)
            for process in running:
                _end_what_it_left(process.pid)

    def _wait(self, processes: list[psutil.Process], timeout: float) -> list[psutil.Process]:
        """Those that still live after `timeout` seconds."""
        ended, left = psutil.wait_procs(processes, timeout=timeout)
        for process in ended:
            if child := self._children.get(process.pid):
                # psutil took the exit code from the system; subprocess, finding none, would make it 0.
                child.returncode = process.wait()
        return left

    def _grace(self, algorithm: str, build_id: str) -> float:
        build = self.build(algorithm, build_id)
        return build.host.grace if build else 0

    def log(self, algorithm: str, build_id: str, lines: int = 40) -> str:
        """See `Runtime.log`."""
        logs = list(self._workers(algorithm, build_id).glob("*.log"))
        if not logs:
            return ""
        dead = [log for log in logs if self._process(_record(log.with_suffix(".json"))) is None]
        latest = max(dead or logs, key=lambda log: log.stat().st_mtime)
        return end_of(latest, lines)

    def build(self, algorithm: str, build_id: str) -> Build | None:
        """See `Runtime.build`."""
        file = paths.build(self._home, algorithm, build_id) / RECORD
        try:
            return Build.model_validate_json(file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def _workers(self, algorithm: str, build_id: str) -> Path:
        return paths.build(self._home, algorithm, build_id) / "workers" / self._namespace

    @cached_property
    def _namespace(self) -> str:
        """A folder's name; the same build may be at work for another namespace."""
        return "of-" + quote(namespace(self._connection), safe="")

    def _process(self, record: Record | None) -> psutil.Process | None:
        """The live process of a record; never one that got its pid later."""
        if record is None:
            return None
        if child := self._children.get(record.pid):
            child.poll()  # without it, a child that died stays a zombie
        try:
            process = psutil.Process(record.pid)
            same = abs(process.create_time() - record.started) < CLOCK_TOLERANCE
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


def _home(workers: Path) -> Path:
    """The build's folder."""
    return workers.parent.parent


def _lock(workers: Path) -> Path:
    """One for all namespaces, as clearing takes the whole build away."""
    return workers.parent / "lock"


def _settings(workers: Path) -> str:
    """The build's settings, by a way that only workers of this namespace are started with."""
    return str(workers / ".." / ".." / "settings.json")


def _record(file: Path) -> Record | None:
    try:
        return Record.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write(file: Path, record: Record) -> None:
    new = file.with_suffix(".new")
    new.write_text(record.model_dump_json())
    new.replace(file)


def _marker(folder: Path, replica: int) -> Path:
    return folder / STARTING.format(replica)


def _new_log(file: Path) -> BinaryIO:
    """As the worker needs it to cut it: read, and only appended to; see `pipeline.worker.log`."""
    return os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644), "r+b")


def _leads_its_session(pid: int) -> bool:
    """Whether a process was started as a worker is: what a worker forks has its command line, not its session."""
    with contextlib.suppress(OSError):
        return os.getsid(pid) == pid
    return False


def _end_what_it_left(worker: int) -> None:
    """Kill what a worker that just ended leaves running; its pid is nobody else's while they have it as group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: where all of them are zombies
        os.killpg(worker, signal.SIGKILL)


def _signal(send: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        send()


def _explain(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
