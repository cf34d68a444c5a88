"""`conduit doctor`: whether all that a delivery needs is here and answers. It changes nothing."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client

from pipeline.build import environment as environments
from pipeline.build.wishes import ImageWishes
from pipeline.commands.session import Session, algorithms
from pipeline.config import Config
from pipeline.deployments import Deployments
from pipeline.errors import ConduitError, DestinationNotWritable, NoLiveWorker
from pipeline.models import Value
from pipeline.project import at_commit
from pipeline.report import Report

NOBODY = "conduit-doctor"
"""An algorithm of this name has no workers: asked for them, the server only says whether it can tell."""

T = TypeVar("T")
Found = tuple[str, T]
"""What is said of a check that went well, and what later checks use of it."""


class Fault(Value):
    """What a check found wrong, with the exit code of the command that would fail by it."""

    error: str
    exit_code: int
    what: str
    why: str = ""
    now: str = ""


class Finding(Value):
    """One check: what is well, or what is not."""

    name: str
    detail: str = ""
    fault: Fault | None = None


class Examination(Value):
    """All that was looked at, in the order of the route."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """That of the first fault; 0 where there is none."""
        return next((finding.fault.exit_code for finding in self.findings if finding.fault), 0)

    def lines(self) -> list[str]:
        """For people: what to do about each fault; the checks themselves were shown as they ran."""
        faults = [(finding.name, finding.fault) for finding in self.findings if finding.fault]
        if not faults:
            return [f"All {len(self.findings)} checks are well."]
        told = [line for name, fault in faults for line in _told(name, fault)]
        return [*told, f"{len(faults)} of {len(self.findings)} checks found something."]


def _told(name: str, fault: Fault) -> list[str]:
    parts = [("", f"{name}: {fault.what}"), ("why:   ", fault.why), ("now:   ", fault.now)]
    return [*(label + text for label, text in parts if text), ""]


async def examine(
    session: Session, folder: Path | None, runtime: str | None, image: ImageWishes
) -> Examination:
    """Look at this machine, the research repo and Temporal.

    Args:
        folder: of the algorithm; without one, the repo and what depends on its configuration are left out.
        runtime: in place of the one that the configuration names.
        image: where images go.
    """
    looked = _Looked(session.report)
    await looked.at("home", _in_thread(_home, session.home))
    config = await looked.at("repo", _in_thread(_repo, folder, runtime)) if folder else None
    await looked.at("packages", _in_thread(_packages, session.environment))
    if (runtime or (config.runtime if config else "process")) == "docker":
        await looked.at("docker", _in_thread(_docker, session.environment))
        if image.is_pushed:
            place = image.place(config.algorithm if config else NOBODY)
            await looked.at("registry", _in_thread(_registry, place, session.environment))
    client = await looked.at("temporal", partial(_temporal, session))
    if client is not None:
        await _look_at_temporal(looked, Deployments(client), config)
    return Examination(findings=tuple(looked.findings))


async def _look_at_temporal(looked: "_Looked", deployments: Deployments, config: Config | None) -> None:
    await looked.at("versions", partial(_versions, deployments))
    await looked.at("heartbeats", partial(_heartbeats, deployments))
    if config is not None:
        await looked.at("algorithm", partial(_algorithm, deployments, config.algorithm))


class _Looked:
    """The findings so far; each check is shown as it runs."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.findings: list[Finding] = []

    async def at(self, name: str, check: Callable[[], Coroutine[Any, Any, Found[T]]]) -> T | None:
        """Run a check and keep what it found; return what later checks use, or None after a fault."""
        try:
            with self._report.step(name) as shown:
                detail, value = await check()
                shown.append(detail)
        except ConduitError as error:
            self.findings.append(Finding(name=name, fault=_fault(error)))
            return None
        self.findings.append(Finding(name=name, detail=detail))
        return value


def _in_thread(check: Callable[..., T], *arguments: Any) -> Callable[[], Coroutine[Any, Any, T]]:
    return partial(asyncio.to_thread, check, *arguments)


def _fault(error: ConduitError) -> Fault:
    return Fault(
        error=type(error).__name__,
        exit_code=error.exit_code,
        what=error.what,
        why=error.why or error.log,
        now=error.now,
    )


def _home(home: Path) -> Found[None]:
    """The folder of builds and environments takes files."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise DestinationNotWritable(
            f"{home} cannot be written.", why=str(error), now="Set CONDUIT_HOME to a folder of your own."
        ) from None
    disk = os.statvfs(home)
    return f"{home}, {disk.f_bavail * disk.f_frsize / 1e9:.0f} GB free", None


def _repo(folder: Path, runtime: str | None) -> Found[Config]:
    """HEAD is a commit that can be delivered."""
    project = at_commit(folder, None, runtime)
    config = project.config
    return f"{config.algorithm} at {project.commit.short}, runtime {config.runtime}", config


def _packages(environment: Mapping[str, str]) -> Found[None]:
    """The package index has what every worker needs."""
    return ", ".join(environments.newest_of_host(environment)), None


def _docker(environment: Mapping[str, str]) -> Found[None]:
    """An engine answers, and its client can build."""
    from pipeline.build.builders import find_builder, why_not_buildx

    builder = find_builder(environment)
    return why_not_buildx(builder) or f"{builder} builds images", None


def _registry(place: str, environment: Mapping[str, str]) -> Found[None]:
    """Images may be pushed."""
    from pipeline.build.registry import see_that_it_takes_images

    see_that_it_takes_images(place, environment)
    return f"{place} takes images", None


async def _temporal(session: Session) -> Found[Client]:
    """A server answers."""
    client = await session.connect()
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    address = client.service_client.config.target_host
    return f"{address}, namespace {client.namespace}, server {info.server_version}", client


async def _versions(deployments: Deployments) -> Found[None]:
    """The namespace is there, and has Worker Deployments."""
    return f"algorithms in this namespace: {len(algorithms(await deployments.names()))}", None


async def _heartbeats(deployments: Deployments) -> Found[None]:
    """The server tells what workers say of themselves, by which builds are judged."""
    await deployments.workers(NOBODY)
    return "the server lists workers", None


async def _algorithm(deployments: Deployments, name: str) -> Found[None]:
    """Somebody answers the algorithm's calls, if a build is Current."""
    seen = await deployments.describe(name)
    if seen is None or seen.current is None:
        return f"no build of {name} is Current yet", None
    live = await deployments.live(lambda: deployments.workers(name))
    workers = sum(worker.build_id == seen.current for worker in live)
    if workers == 0:
        raise NoLiveWorker(
            f"Calls of {name} wait: its Current build {seen.current} has no live worker.",
            why="Temporal hears none of its workers.",
            now=f"Start them with `conduit deliver` or `conduit release`, or run `conduit rollback {name}`.",
        )
    return f"{seen.current} is Current, workers: {workers}; versions: {len(seen.versions)}", None
