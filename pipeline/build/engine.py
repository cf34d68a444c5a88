"""A Docker Engine, local or remote, as the docker client itself would find it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import docker
from docker.errors import DockerException
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import Timeout

from pipeline.errors import RuntimeUnavailable

TIMEOUT = 120
"""Seconds that one call of the engine may take; pulling a large image takes many calls."""


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
