"""Worker containers, with a real engine, a real registry and a real Temporal server."""

import io
import os
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound
from temporalio.client import Client

from pipeline.build.image_contract import contract_of
from pipeline.deployments import Deployments
from pipeline.errors import NoLiveWorker, RuntimeUnavailable
from pipeline.models import Build, Image, Workers, build_id
from pipeline.options.docker import DockerOptions
from pipeline.runtimes import LocalWorker, RuntimeOptions
from pipeline.runtimes import docker as docker_runtime
from pipeline.runtimes.docker import DockerRuntime
from pipeline.runtimes.docker_plan import AFTER_GRACE
from tests.integration.docker.research import ALGORITHM
from tests.parts.temporal import DevServer
from tests.parts.waiting import eventually, eventually_sync

StartRuntime = Callable[..., DockerRuntime]
MEMORY = "192m"


class Limited(DockerRuntime):
    """Starts whatever build with the same limits, as if its configuration had named them."""

    def __init__(self, options: RuntimeOptions, limits: DockerOptions) -> None:
        super().__init__(options)
        self._limits = limits

    def start(self, build: Build, replicas: int) -> None:
        super().start(build.model_copy(update={"workers": Workers(docker=self._limits)}), replicas)


@pytest.fixture
def runtime_with(
    temporal_server: DevServer, build: Build, tmp_path: Path
) -> Iterator[Callable[..., DockerRuntime]]:
    """Make a runtime whose workers find the session's server; its containers are gone afterwards."""

    def make(*, broken: str = "", namespace: str = "default", **limits: object) -> DockerRuntime:
        env_file = tmp_path / "worker.env"
        env_file.write_text(f"# what breaks\nBREAK={broken}\n")
        connection = {**temporal_server.environment, "TEMPORAL_NAMESPACE": namespace}
        options = RuntimeOptions(home=tmp_path, connection=connection, environment=dict(os.environ))
        return Limited(options, docker_options(env_file=env_file, **limits))

    yield make
    for container in docker.from_env().containers.list(
        all=True, filters={"label": f"conduit.algorithm={ALGORITHM}"}
    ):
        container.remove(force=True, v=True)


def docker_options(**keys: object) -> DockerOptions:
    return DockerOptions.model_validate({key.replace("_", "-"): value for key, value in keys.items()})


def policy(worker: LocalWorker) -> str:
    """What the engine does with the worker's container when it ends."""
    return str(docker.from_env().containers.get(worker.handle).attrs["HostConfig"]["RestartPolicy"]["Name"])


def alive(runtime: DockerRuntime) -> list[LocalWorker]:
    return [worker for worker in runtime.workers(ALGORITHM) if worker.alive]


def dead(runtime: DockerRuntime) -> LocalWorker | None:
    workers = runtime.workers(ALGORITHM)
    return workers[0] if workers and not any(worker.alive for worker in workers) else None


async def all_poll(client: Client, replicas: int) -> None:
    """Wait until Temporal hears so many workers: one that still imports dies of a signal instead of stopping."""
    deployments = Deployments(client)

    async def heard() -> bool:
        return len(await deployments.workers(ALGORITHM)) == replicas

    await eventually(heard, within=60)


async def test_workers_register_stop_gracefully_and_start_again(
    runtime_with: StartRuntime, build: Build, temporal_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = runtime_with()
    runtime.start(build, 2)
    await all_poll(temporal_client, 2)
    first = runtime.workers(ALGORITHM)
    assert [(worker.replica, worker.alive, worker.ended_because) for worker in first] == [
        (1, True, ""),
        (2, True, ""),
    ]
    runtime.start(build, 2)
    assert runtime.workers(ALGORITHM) == first

    runtime.stop(ALGORITHM, build.build_id)
    stopped = runtime.workers(ALGORITHM)
    assert {policy(worker) for worker in stopped} == {"no"}
    assert [(worker.alive, worker.ended_because) for worker in stopped] == 2 * [(False, "exit code 0")]
    assert '"phase":"stopped"' in runtime.log(ALGORITHM, build.build_id)
    runtime.stop(ALGORITHM, build.build_id)

    runtime.start(build, 1)
    assert [worker.replica for worker in alive(runtime)] == [1]
    assert len(runtime.workers(ALGORITHM)) == 2
    monkeypatch.setattr(docker_runtime, "KEPT", 0)
    runtime.start(build, 1)
    assert [worker.replica for worker in runtime.workers(ALGORITHM)] == [1]


def test_what_was_stopped_long_ago_goes_with_its_image(
    runtime_with: StartRuntime, build: Build, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"gone-{uuid.uuid4().hex[:8]}:1"
    with closing(docker.from_env()) as client:
        client.images.get(base_image).tag(name)
        labels = {"conduit.algorithm": ALGORITHM}
        ours = {**labels, "conduit.namespace": "default", "conduit.build-id": "0"}
        client.containers.run(name, ["true"], labels=ours)
        of_a_person = client.containers.create(base_image, ["true"], labels=labels)
        of_a_person.start()
        of_a_person.wait()
        monkeypatch.setattr(docker_runtime, "KEPT", 0)
        runtime_with().start(build, 1)
        of_a_person.reload()
        with pytest.raises(ImageNotFound):
            client.images.get(name)
        assert client.images.get(base_image)


def test_a_volume_of_the_image_goes_with_its_container(
    runtime_with: StartRuntime, build: Build, image: Image
) -> None:
    with closing(docker.from_env()) as client:
        dockerfile = f"FROM {image.reference}\nVOLUME /data\nSTOPSIGNAL SIGQUIT\n".encode()
        of_volume, _ = client.images.build(fileobj=io.BytesIO(dockerfile))
        artifact = Image(repository="", digest=of_volume.id)
        changed = build.model_copy(
            update={"artifact": artifact, "build_id": build_id(build.commit.sha, artifact.digest)}
        )
        before = {volume.id for volume in client.volumes.list()}
        assert contract_of(artifact, os.environ) == build.contract
        assert {volume.id for volume in client.volumes.list()} == before
        runtime = runtime_with()
        for _ in range(2):
            runtime.start(changed, 1)
            assert len({volume.id for volume in client.volumes.list()} - before) == 1
            container = client.containers.get(runtime.workers(ALGORITHM)[0].handle)
            assert container.attrs["Config"]["StopSignal"] == "SIGTERM"
            runtime.stop(ALGORITHM, changed.build_id)


def test_a_build_is_found_by_another_command(runtime_with: StartRuntime, build: Build) -> None:
    runtime_with().start(build, 1)
    found = runtime_with().build(ALGORITHM, build.build_id)
    assert found is not None
    assert found.model_copy(update={"workers": build.workers}) == build
    assert runtime_with().build("another", build.build_id) is None
    assert runtime_with().workers("another") == ()
    assert runtime_with().log("another", build.build_id) == ""
    runtime_with().stop("another", build.build_id)
    assert len(alive(runtime_with())) == 1


def test_a_builds_workers_for_another_namespace_are_others(runtime_with: StartRuntime, build: Build) -> None:
    ours, theirs = runtime_with(), runtime_with(namespace="staging")
    ours.start(build, 1)
    assert theirs.workers(ALGORITHM) == ()
    theirs.start(build, 1)
    [worker] = theirs.workers(ALGORITHM)
    assert worker not in ours.workers(ALGORITHM)
    theirs.stop(ALGORITHM, build.build_id)
    assert len(alive(ours)) == 1


def test_two_starts_at_once_start_each_worker_once(runtime_with: StartRuntime, build: Build) -> None:
    runtime = runtime_with()
    with ThreadPoolExecutor(4) as together:
        list(together.map(lambda _: runtime.start(build, 2), range(4)))
    assert sorted(worker.replica for worker in runtime.workers(ALGORITHM)) == [1, 2]
    assert len(eventually_sync(lambda: alive(runtime) if len(alive(runtime)) == 2 else None)) == 2


def test_a_worker_that_fails_is_started_again_then_explained(
    runtime_with: StartRuntime, build: Build
) -> None:
    runtime = runtime_with(broken="import", max_restarts=2)
    runtime.start(build, 1)
    worker = eventually_sync(lambda: dead(runtime), within=60)
    assert re.fullmatch(r"exit code 1, after ([2-9]|\d\d) restarts", worker.ended_because)
    assert "the model's weights are of another version" in runtime.log(ALGORITHM, build.build_id)


def test_a_worker_that_the_release_gave_up_is_started_anew_by_the_next(
    runtime_with: StartRuntime, build: Build
) -> None:
    broken = runtime_with(broken="import", max_restarts=1)
    broken.start(build, 1)
    eventually_sync(lambda: dead(broken), within=60)
    broken.stop(ALGORITHM, build.build_id)  # as the release does; the engine would go on starting it
    mended = runtime_with()
    mended.start(build, 1)
    [worker] = mended.workers(ALGORITHM)
    assert worker.alive
    container = docker.from_env().containers.get(worker.handle)
    assert container.attrs["RestartCount"] == 0
    assert policy(worker) == "always"
    container.update(restart_policy=docker_runtime.NO_MORE)  # a stop that was cut off
    mended.start(build, 1)
    assert (mended.workers(ALGORITHM), policy(worker)) == ((worker,), "always")


def test_a_worker_out_of_memory_is_explained(runtime_with: StartRuntime, build: Build) -> None:
    runtime = runtime_with(broken="memory", memory=MEMORY, max_restarts=1)
    runtime.start(build, 1)
    worker = eventually_sync(lambda: dead(runtime), within=60)
    ended = r"killed \(out of memory; its limit is 192 MiB\), after \d+ restarts?"
    assert re.fullmatch(ended, worker.ended_because)


def test_a_container_is_limited_and_knows_its_build(
    runtime_with: StartRuntime, build: Build, temporal_server: DevServer
) -> None:
    runtime = runtime_with(cpus=0.5, memory=MEMORY, shared_memory="32m")
    runtime.start(build, 1)
    [worker] = runtime.workers(ALGORITHM)
    container = docker.from_env().containers.get(worker.handle)
    host = container.attrs["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["ShmSize"]) == (500_000_000, 192 << 20, 32 << 20)
    assert host["MemorySwap"] == host["Memory"]
    assert container.attrs["Config"]["StopTimeout"] == build.host.grace + AFTER_GRACE
    variables = dict(line.split("=", 1) for line in container.attrs["Config"]["Env"])
    assert variables["TEMPORAL_ADDRESS"] == temporal_server.address
    assert variables["TEMPORAL_DEPLOYMENT_NAME"] == ALGORITHM
    assert variables["TEMPORAL_WORKER_BUILD_ID"] == build.build_id
    assert container.attrs["Config"]["Image"] == build.artifact.reference  # type: ignore[union-attr]
    status, user = container.exec_run(["id", "-u"])
    assert (status, user) == (0, b"10001\n")


def test_a_network_that_is_not_there_is_named(runtime_with: StartRuntime, build: Build) -> None:
    with pytest.raises(RuntimeUnavailable, match="refused") as refused:
        runtime_with(networks=("no-such-network",)).start(build, 1)
    assert "no-such-network" in refused.value.why


def test_graphics_processors_that_are_not_there_are_named(runtime_with: StartRuntime, build: Build) -> None:
    runtime = runtime_with(gpus="all")
    with pytest.raises(RuntimeUnavailable, match="refused") as refused:
        runtime.start(build, 1)
    assert "gpu" in refused.value.why
    [worker] = runtime.workers(ALGORITHM)
    assert not worker.alive
    assert worker.ended_because


def test_a_worker_can_be_in_several_networks(runtime_with: StartRuntime, build: Build) -> None:
    client = docker.from_env()
    networks = [client.networks.create(f"conduit-test-{name}") for name in ("a", "b")]
    try:
        runtime = runtime_with(networks=tuple(network.name for network in networks))
        runtime.start(build, 1)
        [worker] = runtime.workers(ALGORITHM)
        container = client.containers.get(worker.handle)
        assert sorted(container.attrs["NetworkSettings"]["Networks"]) == ["conduit-test-a", "conduit-test-b"]
        container.remove(force=True)
    finally:
        for network in networks:
            network.remove()


def test_a_build_whose_image_is_gone_is_told(runtime_with: StartRuntime, build: Build, image: Image) -> None:
    digest = "sha256:" + 64 * "d"
    gone = build.model_copy(
        update={
            "artifact": image.model_copy(update={"digest": digest}),
            "build_id": build_id(build.commit.sha, digest),
        }
    )
    with pytest.raises(NoLiveWorker) as refused:
        runtime_with().start(gone, 1)
    assert build.commit.short in refused.value.now


def test_an_engine_that_is_away_is_told(build: Build, tmp_path: Path) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}
    runtime = DockerRuntime(RuntimeOptions(home=tmp_path, connection={}, environment=nowhere))
    with pytest.raises(RuntimeUnavailable, match=r"docker\.sock"):
        runtime.start(build, 1)
