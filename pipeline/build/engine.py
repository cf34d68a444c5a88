"""A Docker Engine, local or remote, as the docker client itself would find it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import docker
from docker.errors import DockerException
from docker.types import LogConfig
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import Timeout

from pipeline.errors import RuntimeUnavailable

TIMEOUT = 120
"""Seconds that one call of the engine may take; pulling a large image takes many calls."""

CONFINED: Mapping[str, Any] = {
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    # Rotated, unlike the engine's default: what prints for ever does not fill the disk.
    "log_config": LogConfig(type="local"),
}
"""Of every container in which research code runs."""


@contextmanager
def engine(environment: Mapping[str, str]) -> Iterator[docker.DockerClient]:
    """Connect to the engine of `DOCKER_HOST`, else of the docker client's current context.

    Raises:
        RuntimeUnavailable: it does not answer, now or while it is used.
    """
    try:
        client = docker.from_env(environment=environment, timeout=TIMEOUT)
    except DockerException as error:
        raise _unavailable(error, environment) from error
    try:
        yield client
    except (NoConnection, Timeout) as error:
        raise _unavailable(error, environment) from error
    finally:
        client.close()


def _unavailable(error: Exception, environment: Mapping[str, str]) -> RuntimeUnavailable:
    return RuntimeUnavailable(
        f"The Docker Engine at {environment.get('DOCKER_HOST') or 'its usual place'} does not answer.",
        why=str(error)[:500],
        now="Start it, or set DOCKER_HOST to one that runs; `docker info` tells more.",
    )
