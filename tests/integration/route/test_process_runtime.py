"""Workers as processes of this machine, on a real build and a real server."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from temporalio.client import Client

from pipeline import paths
from pipeline.build import clearing, local
from pipeline.errors import NoLiveWorker
from pipeline.models import Build
from pipeline.project import at_commit
from pipeline.runtimes import LocalWorker, RuntimeOptions, process
from pipeline.runtimes.process import ProcessRuntime, Record
from pipeline.worker.log import KEPT
from pipeline.worker.phases import PhaseName, last_phase
from tests.parts.repos import FILES, make_repo
from tests.parts.temporal import DevServer
from tests.parts.versions import is_registered
from tests.parts.waiting import eventually, eventually_sync

DIES = "import os\n\n\ndef load() -> None:\n    print('no weights here', flush=True)\n    os._exit(7)\n"
POOL = """\
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))


def load() -> None:
    print("forked", pool.submit(int).result(), flush=True)
"""
LOUD = "def load() -> None:\n    for _ in range(65):\n        print(1023 * (1023 * 'x' + '\\n'))\n"

NewRuntime = Callable[..., ProcessRuntime]


@pytest.fixture
def research(home: Path, tmp_path: Path) -> Callable[..., Build]:
    """Build a repo of an algorithm of the test's own, with its setup hook's module and lines of configuration."""

    def research(setup: str = "", configured: str = "") -> Build:
        name = f"measure-{uuid.uuid4().hex[:8]}"
        pyproject = FILES["pyproject.toml"].replace('algorithm = "measure"', f'algorithm = "{name}"')
        hook = 'setup = "model:load"\n' if setup else ""
        make_repo(
            tmp_path / "repo", {**FILES, "pyproject.toml": pyproject + hook + configured, "model.py": setup}
        )
        return local.build(at_commit(tmp_path / "repo", None), home, os.environ)

    return research


@pytest.fixture
def build(research: Callable[..., Build], home: Path) -> Iterator[Build]:
    """A build whose workers end with the test."""
    record = research()
    yield record
    for worker in _processes(record):
        worker.kill()


@pytest.fixture
def new_runtime(home: Path, temporal_server: DevServer) -> NewRuntime:
    """Make a runtime as another command would: it knows nothing but what is on disk."""

    def make(namespace: str = "default") -> ProcessRuntime:
        connection = {**temporal_server.environment, "TEMPORAL_NAMESPACE": namespace}
        return ProcessRuntime(RuntimeOptions(home=home, connection=connection, environment=os.environ))

    return make


def _processes(build: Build) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(build.build_id in argument for argument in process.info["cmdline"] or ())
        and process.status() != psutil.STATUS_ZOMBIE
    ]


def _records(home: Path, build: Build) -> Path:
    return paths.build(home, build.algorithm, build.build_id) / "workers" / "of-default"


def _pids(workers: tuple[LocalWorker, ...]) -> list[int]:
    return [int(worker.handle.removeprefix("pid ")) for worker in workers if worker.alive]


def _wait_for(phase: PhaseName, runtime: ProcessRuntime, build: Build) -> None:
    def reached() -> bool:
        now = last_phase(runtime.log(build.algorithm, build.build_id))
        return now is not None and now.phase == phase

    eventually_sync(reached)


async def test_workers_start_and_register(
    build: Build, new_runtime: NewRuntime, temporal_client: Client
) -> None:
    runtime = new_runtime()
    runtime.start(build, 2)
    workers = runtime.workers(build.algorithm)
    assert [(worker.replica, worker.build_id, worker.alive) for worker in workers] == [
        (1, build.build_id, True),
        (2, build.build_id, True),
    ]
    await eventually(lambda: is_registered(temporal_client, build.algorithm, build.build_id))


def test_starting_again_starts_what_is_missing_alone(build: Build, new_runtime: NewRuntime) -> None:
    runtime = new_runtime()
    runtime.start(build, 2)
    first, second = _pids(runtime.workers(build.algorithm))
    runtime.start(build, 2)
    assert _pids(runtime.workers(build.algorithm)) == [first, second]
    os.kill(first, signal.SIGKILL)
    eventually_sync(lambda: len(_pids(runtime.workers(build.algorithm))) == 1)
    runtime.start(build, 2)
    again = _pids(runtime.workers(build.algorithm))
    assert second in again
    assert first not in again
    assert len(again) == 2


def test_workers_are_found_again_and_stopped_by_another_command(
    build: Build, new_runtime: NewRuntime
) -> None:
    new_runtime().start(build, 2)
    other = new_runtime()
    pids = _pids(other.workers(build.algorithm))
    assert len(pids) == 2
    assert other.build(build.algorithm, build.build_id) == build
    other.start(build, 2)
    assert _pids(other.workers(build.algorithm)) == pids
    other.stop(build.algorithm, build.build_id)
    assert _pids(other.workers(build.algorithm)) == []
    assert _processes(build) == []


def test_a_builds_workers_for_another_namespace_are_others(
    build: Build, new_runtime: NewRuntime, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "KEPT", 0)
    ours, theirs = new_runtime(), new_runtime("staging/../of-default")
    ours.start(build, 1)
    pids = _pids(ours.workers(build.algorithm))
    assert theirs.workers(build.algorithm) == ()
    theirs.stop(build.algorithm, build.build_id)
    theirs.start(build, 1)
    assert len(theirs.workers(build.algorithm)) == 1
    theirs.stop(build.algorithm, build.build_id)
    assert _pids(ours.workers(build.algorithm)) == pids


def test_a_build_at_work_for_another_namespace_is_not_cleared_away(
    build: Build, new_runtime: NewRuntime, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "KEPT", 0)
    idle, at_work = (paths.build(home, build.algorithm, name) for name in ("idle", "at-work"))
    for folder in (idle, at_work):
        (folder / "workers" / "of-staging").mkdir(parents=True)
        (folder / local.RECORD).write_text("{}")
    record = Record(replica=1, pid=os.getpid(), started=psutil.Process().create_time())
    (at_work / "workers" / "of-staging" / "1.json").write_text(record.model_dump_json())
    new_runtime().start(build, 1)
    assert (idle.exists(), at_work.exists()) == (False, True)


def test_a_worker_stops_gracefully(build: Build, new_runtime: NewRuntime) -> None:
    runtime = new_runtime()
    runtime.start(build, 1)
    _wait_for("polling", runtime, build)
    runtime.stop(build.algorithm, build.build_id)
    [worker] = runtime.workers(build.algorithm)
    assert not worker.alive
    assert worker.ended_because == "exit code 0"
    stopped = last_phase(runtime.log(build.algorithm, build.build_id))
    assert stopped is not None
    assert stopped.phase == "stopped"


def test_a_worker_that_does_not_stop_is_killed(
    research: Callable[..., Build], new_runtime: NewRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "AFTER_GRACE", 1.0)
    build = research(configured='grace = "0s"\n')
    runtime = new_runtime()
    runtime.start(build, 1)
    [pid] = _pids(runtime.workers(build.algorithm))
    os.kill(pid, signal.SIGSTOP)
    runtime.stop(build.algorithm, build.build_id)
    [worker] = runtime.workers(build.algorithm)
    assert not worker.alive
    assert worker.ended_because == "killed by signal 9"


def test_what_a_worker_forked_is_no_worker_and_ends_with_it(
    research: Callable[..., Build], new_runtime: NewRuntime
) -> None:
    build = research(POOL)
    new_runtime().start(build, 1)
    [worker] = _pids(new_runtime().workers(build.algorithm))
    eventually_sync(lambda: len(_processes(build)) == 2)
    _wait_for("polling", new_runtime(), build)
    runtime = new_runtime()
    runtime.start(build, 1)
    assert _pids(runtime.workers(build.algorithm)) == [worker]
    runtime.stop(build.algorithm, build.build_id)
    assert len(runtime.workers(build.algorithm)) == 1
    eventually_sync(lambda: _processes(build) == [])


def test_a_stranger_with_a_workers_old_pid_is_left_alone(
    build: Build, new_runtime: NewRuntime, home: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        folder = _records(home, build)
        folder.mkdir(parents=True)
        long_ago = psutil.Process(stranger.pid).create_time() - 3600
        record = Record(replica=1, pid=stranger.pid, started=long_ago)
        (folder / "1.json").write_text(record.model_dump_json())
        runtime = new_runtime()
        assert [worker.alive for worker in runtime.workers(build.algorithm)] == [False]
        runtime.stop(build.algorithm, build.build_id)
        assert stranger.poll() is None
        runtime.start(build, 1)
        assert stranger.pid not in _pids(runtime.workers(build.algorithm))
        assert len(_pids(runtime.workers(build.algorithm))) == 1
        stranger.kill()


def test_a_worker_without_a_record_is_adopted(build: Build, new_runtime: NewRuntime, home: Path) -> None:
    new_runtime().start(build, 1)
    [pid] = _pids(new_runtime().workers(build.algorithm))
    (_records(home, build) / "1.json").unlink()
    runtime = new_runtime()
    assert runtime.workers(build.algorithm) == ()
    runtime.start(build, 1)
    assert _pids(runtime.workers(build.algorithm)) == [pid]
    runtime.stop(build.algorithm, build.build_id)
    assert _processes(build) == []


def test_a_worker_whose_starter_was_killed_is_seen(
    build: Build, new_runtime: NewRuntime, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(file: Path, record: Record) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(process, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            new_runtime().start(build, 1)
    assert list(_records(home, build).glob("*.json")) == []
    runtime = new_runtime()
    [pid] = _pids(runtime.workers(build.algorithm))
    assert [seen.pid for seen in _processes(build)] == [pid]
    assert list(_records(home, build).glob("*.starting")) == []
    runtime.stop(build.algorithm, build.build_id)
    assert _processes(build) == []


def test_a_broken_record_is_no_record(build: Build, new_runtime: NewRuntime, home: Path) -> None:
    _records(home, build).mkdir(parents=True)
    (_records(home, build) / "1.json").write_text('{"pid": "1"')
    runtime = new_runtime()
    runtime.start(build, 1)
    assert len(_pids(runtime.workers(build.algorithm))) == 1


def test_the_log_of_a_worker_that_died_is_kept(
    research: Callable[..., Build], new_runtime: NewRuntime
) -> None:
    build = research(DIES)
    runtime = new_runtime()
    runtime.start(build, 1)
    eventually_sync(lambda: not _pids(runtime.workers(build.algorithm)))
    [worker] = runtime.workers(build.algorithm)
    assert worker.ended_because == "exit code 7"
    assert "no weights here" in runtime.log(build.algorithm, build.build_id)
    assert "no weights here" in new_runtime().log(build.algorithm, build.build_id)


def test_a_log_does_not_fill_the_disk(
    research: Callable[..., Build], new_runtime: NewRuntime, home: Path
) -> None:
    build = research(LOUD)
    new_runtime().start(build, 1)
    runtime = new_runtime()
    _wait_for("polling", runtime, build)
    assert (_records(home, build) / "1.log").stat().st_size <= KEPT + 100_000
    runtime.stop(build.algorithm, build.build_id)
    assert '"phase":"stopped"' in runtime.log(build.algorithm, build.build_id)


def test_what_was_never_started_is_stopped_and_read_without_a_trace(
    new_runtime: NewRuntime, home: Path
) -> None:
    runtime = new_runtime()
    runtime.stop("never-built", "0123456789ab-000000")
    assert runtime.workers("never-built") == ()
    assert runtime.log("never-built", "0123456789ab-000000") == ""
    assert runtime.build("never-built", "0123456789ab-000000") is None
    assert not paths.builds(home, "never-built").exists()


def test_a_build_that_is_gone_cannot_be_started(
    build: Build, new_runtime: NewRuntime, tmp_path: Path
) -> None:
    elsewhere = build.artifact.model_copy(update={"source": tmp_path / "gone"})
    with pytest.raises(NoLiveWorker) as raised:
        new_runtime().start(build.model_copy(update={"artifact": elsewhere}), 1)
    assert build.commit.short in raised.value.now
