"""The worker host as a real process, on research modules that a test writes."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.worker.phases import Phase, PhaseName, last_phase
from pipeline.worker.settings import HostSettings
from tests.parts.waiting import eventually_sync

REPOSITORY = Path(__file__).parents[2]


@dataclass
class WorkerHost:
    """One `python -m pipeline.worker run`."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    @property
    def phase(self) -> Phase | None:
        return last_phase(self.log)

    def wait_for(self, phase: PhaseName) -> Phase:
        """Wait until the host is in that phase; its log is the message where it does not get there."""

        def reached() -> Phase | None:
            now = self.phase
            assert self.process.poll() is None or (now and now.phase == phase), self.log
            return now if now and now.phase == phase else None

        return eventually_sync(reached)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, within: float = 30.0) -> int:
        """The exit code."""
        return self.process.wait(within)


@contextlib.contextmanager
def worker_host(
    folder: Path, settings: HostSettings, *, build_id: str, environment: Mapping[str, str]
) -> Iterator[WorkerHost]:
    """Run a host on the research modules in `folder`; it is killed at the end if it still runs."""
    settings_file = folder / f"{build_id}.settings.json"
    settings_file.write_text(settings.model_dump_json())
    log_file = folder / f"{build_id}.log"
    variables = {
        **_clean_environment(folder),
        **environment,
        "TEMPORAL_DEPLOYMENT_NAME": settings.task_queue,
        "TEMPORAL_WORKER_BUILD_ID": build_id,
    }
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.worker", "run", "--settings", str(settings_file)],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield WorkerHost(process, log_file)
    finally:
        process.kill()
        process.wait()


def describe(folder: Path, settings: HostSettings, output: Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m pipeline.worker describe` to its end."""
    settings_file = folder / "described.settings.json"
    settings_file.write_text(settings.model_dump_json())
    command = [sys.executable, "-m", "pipeline.worker", "describe"]
    return subprocess.run(
        [*command, "--settings", str(settings_file), "--output", str(output)],
        cwd=folder,
        env=_clean_environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _clean_environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(folder), str(REPOSITORY)])}
