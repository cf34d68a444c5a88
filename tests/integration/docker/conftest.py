"""A Docker Engine, a registry with a password and a base image for the tests of this folder."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from pipeline.build.image import ImageRequest, build_image
from pipeline.models import Build, Image
from tests.integration.docker.research import ALGORITHM, ResearchRepo
from tests.parts.base_image import ensure_base_image
from tests.parts.buildx import buildx_plugin, docker_config
from tests.parts.docker_engine import NoEngine, docker_engine
from tests.parts.registry import Registry, registry_binary


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Docker Engine's address; this process and its children use it, with a fresh client configuration."""
    config = docker_config(tmp_path_factory.mktemp("docker-config"))
    try:
        with docker_engine() as address, pytest.MonkeyPatch.context() as environment:
            environment.setenv("DOCKER_HOST", address)
            environment.setenv("DOCKER_CONFIG", str(config))
            yield address
    except NoEngine as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def base_image(engine: str) -> str:
    """The name of an image with Python."""
    return ensure_base_image(engine)


@pytest.fixture(scope="session")
def buildx(engine: str) -> None:
    """Skip where the docker client has no buildx."""
    if buildx_plugin() is None:
        pytest.skip("the docker client has no buildx: run .ci/install-parts")


@pytest.fixture(scope="session")
def registry(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry into which this session's docker client is logged in."""
    binary = registry_binary()
    if binary is None:
        pytest.skip("no docker-registry on PATH: run .ci/install-parts")
    with Registry(binary, tmp_path_factory.mktemp("registry")) as registry:
        log_in(registry)
        yield registry


def log_in(registry: Registry) -> None:
    """Do what a user does before the first push."""
    subprocess.run(
        ["docker", "login", "--username", registry.user, "--password-stdin", registry.address],
        input=registry.password.encode(),
        capture_output=True,
        check=True,
    )


@pytest.fixture(scope="session")
def repo(base_image: str, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> ResearchRepo:
    """A research repo whose images go to the session's registry."""
    return ResearchRepo(tmp_path_factory.mktemp("research"), f"{registry.address}/team/{ALGORITHM}")


@pytest.fixture(scope="session")
def image_request(repo: ResearchRepo, buildx: None) -> ImageRequest:
    """What the session's image is built from."""
    return repo.request()


@pytest.fixture(scope="session")
def image(image_request: ImageRequest) -> Image:
    """The image of the repo's first commit, pushed."""
    return build_image(image_request, os.environ)


@pytest.fixture(scope="session")
def build(repo: ResearchRepo, image: Image) -> Build:
    """The record of that image."""
    return repo.record(image)
