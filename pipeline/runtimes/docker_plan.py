"""What a worker's container is to be, as values; nothing here talks to an engine."""

import re
from collections.abc import Mapping
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import InvalidValue
from pipeline.models import Build, Value
from pipeline.options.docker import DockerOptions
from pipeline.runtimes import LocalWorker
from pipeline.runtimes.portable import portable

ALGORITHM = "conduit.algorithm"
BUILD_ID = "conduit.build-id"
NAMESPACE = "conduit.namespace"
REPLICA = "conduit.replica"
RECORD = "conduit.build"
MAX_RESTARTS = "conduit.max-restarts"

AFTER_GRACE = 15
"""Seconds that a container gets after its worker's grace before it is killed; the worker ends sooner."""
LOOPBACK = re.compile(r"(?:\w+://)?(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
NANOS = 1_000_000_000
SIGNALLED = 128
"""Above this, an exit code is this and the number of the signal that ended the program."""
VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


class ContainerPlan(Value):
    """One worker's container."""

    name: str
    image: str
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    networks: tuple[str, ...]
    options: DockerOptions
    stop_timeout: int
    """Seconds from SIGTERM to SIGKILL, whoever stops it."""


def container_name(namespace: str, build: Build, replica: int) -> str:
    """A name that two starts of one worker share, so that the engine refuses the second."""
    fitting = re.sub(r"[^A-Za-z0-9_.-]", "_", namespace)
    return f"conduit.{fitting}.{build.algorithm}.{build.build_id}.{replica}"


def plan(
    build: Build, reference: str, replica: int, environment: Mapping[str, str], *, namespace: str
) -> ContainerPlan:
    """Say what the container of one replica is.

    Args:
        reference: the image, by digest.
        environment: what workers find in theirs, the connection to Temporal included.
        namespace: for which it works; the same build may be at work for another.
    """
    options = build.workers.docker
    return ContainerPlan(
        name=container_name(namespace, build, replica),
        image=reference,
        environment={
            **environment,
            "TEMPORAL_DEPLOYMENT_NAME": build.algorithm,
            "TEMPORAL_WORKER_BUILD_ID": build.build_id,
        },
        labels={
            ALGORITHM: build.algorithm,
            BUILD_ID: build.build_id,
            NAMESPACE: namespace,
            REPLICA: str(replica),
            RECORD: build.model_dump_json(),
            MAX_RESTARTS: str(options.max_restarts),
        },
        networks=options.networks or _network_of(environment),
        options=options,
        stop_timeout=stop_timeout(build.host.grace),
    )


def stop_timeout(grace: float) -> int:
    """Seconds that a container gets to end after SIGTERM."""
    return ceil(grace) + AFTER_GRACE


def _network_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """A server on the host's loopback address is reached from the host's network alone."""
    return ("host",) if LOOPBACK.fullmatch(environment.get("TEMPORAL_ADDRESS", "")) else ()


def worker_environment(
    connection: Mapping[str, str], of_repo: Path | None, of_machine: Path | None
) -> dict[str, str]:
    """What a worker finds in its environment beside its own name.

    Args:
        connection: the TEMPORAL_* variables with which this command connects.
        of_repo: an env file that the repo's configuration names; it cannot lead workers to another server.
        of_machine: an env file of who runs this machine. It can, where workers know the server by another name.

    Raises:
        InvalidValue: an env file, or one that the connection names, cannot be used.
    """
    return {**_env_file(of_repo), **portable(connection), **_env_file(of_machine)}


def _env_file(path: Path | None) -> dict[str, str]:
    """Read NAME=VALUE lines as docker does: no quotes, no expansion; `#` begins a comment line."""
    if path is None:
        return {}
    lines = [line.lstrip() for line in _read(path).splitlines()]
    return dict(_variable(line, path) for line in lines if line and not line.startswith("#"))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue(
            f"The env file {path} cannot be read.",
            why=str(error),
            now="Correct CONDUIT_ENV_FILE, or `env-file` in [tool.conduit.docker].",
        ) from error


def _variable(line: str, path: Path) -> tuple[str, str]:
    match = VARIABLE.fullmatch(line)
    if match is None:
        raise InvalidValue(
            f"The env file {path} has a line that is not NAME=VALUE.",
            why="The line is not shown here, as it may hold a secret.",
            now="Correct the file.",
        )
    return match[1], match[2]


def worker(attributes: Mapping[str, Any]) -> LocalWorker | None:
    """A container, as the engine describes it, as a worker; None if its labels are not a worker's."""
    labels, state = attributes["Config"]["Labels"] or {}, attributes["State"]
    try:
        return LocalWorker.model_validate(
            {
                "build_id": labels.get(BUILD_ID),
                "replica": labels.get(REPLICA),
                "handle": str(attributes["Id"])[:12],
                "alive": is_alive(attributes),
                "started": _time(state["StartedAt"]),
                "ended_because": why_ended(attributes),
            }
        )
    except ValidationError:
        return None


def is_alive(attributes: Mapping[str, Any]) -> bool:
    """Whether a container runs, or has failed so seldom that it is taken to run again."""
    state, labels = attributes["State"], attributes["Config"]["Labels"] or {}
    if state["Restarting"]:
        return int(attributes.get("RestartCount", 0)) < int(labels.get(MAX_RESTARTS, 0))
    return bool(state["Running"])


def _time(text: str) -> datetime | None:
    """The engine's time, which has nanoseconds; None for its zero, year 1."""
    moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text))
    return moment if moment.year > 1 else None


def why_ended(attributes: Mapping[str, Any]) -> str:
    """Why a container ended, or why it is between two restarts; empty while it runs or was never started."""
    state = attributes["State"]
    if state["Status"] in {"running", "paused"} or (state["Status"] == "created" and not state["Error"]):
        return ""
    restarts = attributes.get("RestartCount", 0)
    times = f", after {restarts} restart{'s' if restarts > 1 else ''}" if restarts else ""
    return _cause(state, attributes["HostConfig"].get("Memory", 0)) + times


def _cause(state: Mapping[str, Any], memory: int) -> str:
    if state["Error"]:
        return f"not started: {state['Error']}"
    code = int(state["ExitCode"])
    if state["OOMKilled"]:
        return f"killed (out of memory{f'; its limit is {memory >> 20} MiB' if memory else ''})"
    return f"killed by signal {code - SIGNALLED}" if code > SIGNALLED else f"exit code {code}"
