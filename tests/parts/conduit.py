"""The command line as its users run it: a process of its own, whose exit code and output are looked at."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pipeline.build.local import RECORD
from pipeline.commands.session import Session
from pipeline.commands.status import status
from pipeline.models import Build
from pipeline.report import Report
from pipeline.runtimes import RuntimeOptions
from pipeline.runtimes.process import ProcessRuntime
from tests.parts.repos import FILES, commit, git, make_repo


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Conduit:
    """The command line on a machine (a folder) and a Temporal server."""

    home: Path
    environment: Mapping[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command without waiting for it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments],
            env={**os.environ, **self.environment, "CONDUIT_HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def __call__(self, *arguments: str) -> Outcome:
        """Run a command to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        return Outcome(process.returncode, out, err)

    def good(self, *arguments: str) -> Outcome:
        """Run a command that must succeed."""
        outcome = self(*arguments)
        assert outcome.code == 0, outcome.err
        return outcome

    def status(self, algorithm: str) -> Any:
        """What `conduit status --json` would print; without a process, for tests that are of another command."""
        session = Session(environment=dict(self.environment), report=Report(quiet=True))
        with ThreadPoolExecutor(1) as elsewhere:  # a test may have an event loop of its own here
            found = elsewhere.submit(lambda: asyncio.run(status(session, algorithm))).result()
        return found.model_dump(mode="json")

    def runtime(self) -> ProcessRuntime:
        return ProcessRuntime(RuntimeOptions(home=self.home, connection=self.environment))

    def alive(self, algorithm: str) -> dict[str, int]:
        """The workers that run, counted by build."""
        counts: dict[str, int] = {}
        for worker in self.runtime().workers(algorithm):
            if worker.alive:
                counts[worker.build_id] = counts.get(worker.build_id, 0) + 1
        return counts

    def clean_up(self) -> None:
        """End every command and every worker that this object is the cause of."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for record in self.home.glob(f"builds/*/*/{RECORD}"):
            build = Build.model_validate_json(record.read_bytes())
            for worker in self.runtime().workers(build.algorithm):
                if worker.alive:
                    psutil.Process(int(worker.handle.removeprefix("pid "))).kill()


@dataclass(frozen=True)
class Repo:
    """A research repo and its algorithm."""

    folder: Path
    algorithm: str

    @property
    def head(self) -> str:
        return git(self.folder, "rev-parse", "HEAD")

    def commit(self, files: Mapping[str, str]) -> str:
        return commit(self.folder, files)


QUICK_RELEASE = "release.steps = []\nrelease.watch = '0s'\n"
"""Settings in `[tool.conduit]` of a release that promotes at once."""


def research_repo(folder: Path, algorithm: str, files: Mapping[str, str] = FILES, extra: str = "") -> Repo:
    """A committed repo; `extra` is put at the end of `[tool.conduit]`. Releases are quick unless that says more."""
    release = "" if "release" in extra else QUICK_RELEASE
    pyproject = files["pyproject.toml"].replace('"measure"\n', f'"{algorithm}"\n') + release + extra
    make_repo(folder, {**files, "pyproject.toml": pyproject})
    return Repo(folder=folder, algorithm=algorithm)
