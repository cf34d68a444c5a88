"""From `git push` to the first call on the new build, through the real workflow files under act, with warm caches.

The target is at most 20 s, without the repo's own tests. In the same run, a plain script does what a team writes by
hand: docker build, docker push, docker run, and the `temporal` program. It tests nothing, gates nothing, checks
no worker and cannot go back. From the repository's root, with what `.ci/install-parts` installs:

    python -m benchmarks.push_to_call [--rounds 3]
"""

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from asyncio import to_thread
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.parts import leave, spread
from tests.actions.conftest import CERTIFICATES, remove_workers
from tests.actions.listening import Listener, serving_listener
from tests.actions.research import ALGORITHM, FILES, PYPROJECT, code
from tests.parts.act import Actions, act_binary
from tests.parts.base_image import BASE_IMAGE, ensure_base_image
from tests.parts.buildx import docker_config
from tests.parts.docker_engine import docker_engine
from tests.parts.registry import Registry, registry_binary
from tests.parts.repos import write
from tests.parts.temporal import DevServer, temporal_binary
from tests.parts.waiting import eventually

TARGET = 20.0
PLAIN = "plain-measure"

WORKER = f"""\
import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from activities import measure
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker, WorkerDeploymentConfig


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"], data_converter=pydantic_data_converter)
    version = WorkerDeploymentVersion("{PLAIN}", os.environ["BUILD"])
    await Worker(
        client,
        task_queue="{PLAIN}",
        activities=[measure],
        activity_executor=ThreadPoolExecutor(),
        deployment_config=WorkerDeploymentConfig(version=version, use_worker_versioning=True),
    ).run()


asyncio.run(main())
"""
DOCKERFILE = f"""\
FROM {BASE_IMAGE}
RUN --mount=type=secret,id=ca python3 -m venv /venv \\
 && PIP_CERT=/run/secrets/ca /venv/bin/pip install --quiet temporalio pydantic
COPY . /app
WORKDIR /app
CMD ["/venv/bin/python", "worker.py"]
"""
SCRIPT = f"""\
set -eu
docker buildx build --quiet --provenance=false --secret=id=ca,src={CERTIFICATES} \\
  --tag="$IMAGE:$BUILD" --push . >/dev/null
docker run --detach --network=host --label=conduit.algorithm={PLAIN} \\
  --env=BUILD="$BUILD" --env=TEMPORAL_ADDRESS="$TEMPORAL_ADDRESS" "$IMAGE:$BUILD" >/dev/null
version="--deployment-name={PLAIN} --build-id=$BUILD --address=$TEMPORAL_ADDRESS"
until "$TEMPORAL" worker deployment describe-version $version >/dev/null 2>&1; do sleep 0.1; done
"$TEMPORAL" worker deployment set-current-version $version --yes >/dev/null 2>&1
"""


@dataclass
class Stage:
    """The parts that both ways use."""

    folder: Path
    registry: Registry
    server: DevServer

    def actions(self) -> Actions:
        """The research repo on a GitHub of this machine; its own tests are left out."""
        act = act_binary()
        assert act, "no act: python3 bootstrap.py set-up"
        return Actions(
            folder=self.folder / "github",
            act=act,
            files={**FILES, "pyproject.toml": PYPROJECT + "test = []\n"},
            environment={"CONDUIT_HOME": str(self.folder / "home"), "CONDUIT_CA": CERTIFICATES},
            secrets={
                "TEMPORAL_ADDRESS": self.server.address,
                "REGISTRY_USER": self.registry.user,
                "REGISTRY_PASSWORD": self.registry.password,
            },
            variables={"DOCKER_HOST": os.environ["DOCKER_HOST"]},
            inputs={"registry": f"{self.registry.address}/team"},
        )

    def script(self, factor: float) -> None:
        """The plain way, with the same code."""
        folder = self.folder / "plain"
        write(folder, {**code(factor), "worker.py": WORKER, "Dockerfile": DOCKERFILE})
        given = {
            "IMAGE": f"{self.registry.address}/team/plain",
            "BUILD": f"build-{time.monotonic_ns()}",
            "TEMPORAL": str(temporal_binary()),
            "TEMPORAL_ADDRESS": self.server.address,
        }
        subprocess.run(["sh", "-c", SCRIPT], cwd=folder, env={**os.environ, **given}, check=True)


async def timed(
    listener: WorkflowHandle[Listener, None], deliver: Callable[[], object], answer: float
) -> float:
    """Seconds until the running workflow has the new answer, from when `deliver` began."""

    async def heard() -> bool:
        return await listener.query(Listener.answer) == answer

    begun = time.monotonic()
    delivering = asyncio.create_task(to_thread(deliver))
    await eventually(heard, within=300)
    taken = time.monotonic() - begun
    await delivering
    return taken


async def measure(on: Stage, rounds: int) -> None:
    """Both ways in turn, so that a busy machine is busy for both; the first round fills the caches."""
    actions = on.actions()
    client = await Client.connect(on.server.address, data_converter=pydantic_data_converter)

    def push(factor: float) -> None:
        actions.commit(code(factor))
        run = actions.push()
        assert run.code == 0, run.log

    taken: dict[str, list[float]] = {"conduit": [], "plain script": []}
    async with serving_listener(client) as queue:
        ours, theirs = [
            await client.start_workflow(Listener.run, name, id=f"listener-{name}", task_queue=queue)
            for name in (ALGORITHM, PLAIN)
        ]
        for round_ in range(rounds + 1):
            factor = float(round_ + 1)
            pushed = await timed(ours, partial(push, factor), factor)
            plain = await timed(theirs, partial(on.script, factor), factor)
            print(
                f"{'warm' if round_ else 'cold'}: conduit {pushed:.2f} s, plain script {plain:.2f} s",
                flush=True,
            )
            if round_:
                taken["conduit"].append(pushed)
                taken["plain script"].append(plain)
    print(f"push to call: {spread(taken['conduit'])} (target: at most {TARGET:.0f} s)")
    print(f"plain script: {spread(taken['plain script'])}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    temporal, registry = temporal_binary(), registry_binary()
    assert temporal, "no temporal: python3 bootstrap.py set-up"
    assert registry, "no docker-registry: run .ci/install-parts"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("config", "registry", "temporal", "home", "plain"):
            (folder / name).mkdir()
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("DOCKER_HOST", stack.enter_context(docker_engine()))
        patch.setenv("DOCKER_CONFIG", str(docker_config(folder / "config")))
        ensure_base_image(os.environ["DOCKER_HOST"])
        pushed_to = stack.enter_context(Registry(registry, folder / "registry", user="robot-4711"))
        log_in = ["docker", "login", "--username", pushed_to.user, "--password-stdin", pushed_to.address]
        subprocess.run(log_in, input=pushed_to.password.encode(), capture_output=True, check=True)
        server = stack.enter_context(DevServer(temporal, folder / "temporal"))
        for algorithm in (ALGORITHM, PLAIN):
            stack.callback(remove_workers, algorithm)
        asyncio.run(measure(Stage(folder, pushed_to, server), arguments.rounds))


if __name__ == "__main__":
    main()
    leave()
