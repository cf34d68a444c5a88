"""Workers as containers of a Docker Engine, local or remote, one for each replica.

All that is known of them is in their labels: another command, on another machine, finds them by these. A
stopped container is kept, since it holds the record with which its build can be started again.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any

from docker import DockerClient
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import DeviceRequest
from pydantic import ValidationError

from pipeline.build.engine import CONFINED, engine
from pipeline.command import tail
from pipeline.errors import NoLiveWorker, RuntimeUnavailable
from pipeline.models import Build, Image
from pipeline.options.docker import DockerOptions
from pipeline.runtimes import LocalWorker, RuntimeOptions
from pipeline.runtimes.docker_plan import (
    ALGORITHM,
    BUILD_ID,
    NAMESPACE,
    NANOS,
    RECORD,
    ContainerPlan,
    is_alive,
    plan,
    stop_timeout,
    worker,
    worker_environment,
)
from pipeline.runtimes.portable import namespace

# What the engine answers when somebody else is removing or has created the same container.
TAKEN_ELSEWHERE = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
KEPT = 20
"""Stopped containers of an algorithm that are kept, with their images, for their logs and to be started again."""
# Also after a reboot and a long absence of Temporal; the engine pauses longer from failure to failure.
# "unless-stopped" would not do: an engine that crashed stops what still runs when it is back, and leaves it so.
FOR_GOOD: Any = {"Name": "always"}  # the SDK's type stubs lack these
NO_MORE: Any = {"Name": "no"}
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class DockerRuntime:
    """See `pipeline.runtimes.Runtime`."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options

    def start(self, build: Build, replicas: int) -> None:
        """Start what is missing of `replicas` workers; see `Runtime.start`."""
        options = self._options
        environment = worker_environment(options.connection, build.workers.docker.env_file, options.env_file)
        with self._engine() as client:
            image = _pulled(client, build)
            for replica in range(1, replicas + 1):
                _see_to(client, plan(build, image, replica, environment, namespace=self._namespace))
            _let_the_oldest_go(client, self._containers(client, build.algorithm))

    def workers(self, algorithm: str) -> tuple[LocalWorker, ...]:
        """See `Runtime.workers`."""
        with self._engine() as client:
            seen = [worker(container.attrs) for container in self._containers(client, algorithm)]
        found = [one for one in seen if one]
        return tuple(sorted(found, key=lambda one: (one.started or LONG_AGO, one.replica)))

    def stop(self, algorithm: str, build_id: str) -> None:
        """See `Runtime.stop`."""
        with self._engine() as client:
            containers = self._containers(client, algorithm, build_id)
            with ThreadPoolExecutor(max_workers=len(containers) or 1) as together:
                list(together.map(_stop, containers))

    def log(self, algorithm: str, build_id: str, lines: int = 40) -> str:
        """See `Runtime.log`."""
        with self._engine() as client:
            containers = self._containers(client, algorithm, build_id)
            if not containers:
                return ""
            text = max(containers, key=_tells_most).logs(tail=lines)
        return tail(text.decode(errors="replace"), lines)

    def build(self, algorithm: str, build_id: str) -> Build | None:
        """See `Runtime.build`."""
        with self._engine() as client:
            records = [_record(container) for container in self._containers(client, algorithm, build_id)]
        return next((record for record in records if record), None)

    @cached_property
    def _namespace(self) -> str:
        return namespace(self._options.connection)

    def _containers(
        self, client: DockerClient, algorithm: str, build_id: str | None = None
    ) -> list[Container]:
        # Whatever a person runs of such an image has its label of the algorithm, and not the others.
        ours = [f"{ALGORITHM}={algorithm}", f"{NAMESPACE}={self._namespace}"]
        wanted = [*ours, f"{BUILD_ID}={build_id}" if build_id else BUILD_ID]
        return client.containers.list(all=True, filters={"label": wanted}, ignore_removed=True)

    @contextmanager
    def _engine(self) -> Iterator[DockerClient]:
        try:
            with engine(self._options.environment) as client:
                yield client
        except APIError as error:
            raise RuntimeUnavailable(
                "The Docker Engine refused to run the workers.",
                why=str(error.explanation or error)[:1000],
                now="Correct what it names, or the [tool.conduit.docker] table, and run the command again.",
            ) from error


def _pulled(client: DockerClient, build: Build) -> str:
    """The image that the build is, by digest; pulled if the engine does not have it."""
    image = build.artifact
    if not isinstance(image, Image):
        raise _not_to_be_had(build, "It was built for the process runtime and has no image.")
    try:
        client.images.get(image.reference)
    except ImageNotFound:
        try:
            client.images.pull(image.repository, tag=image.digest)
        except (APIError, ValueError) as error:
            raise _not_to_be_had(build, str(error)[:1000]) from error
    return image.reference


def _not_to_be_had(build: Build, why: str) -> NoLiveWorker:
    return NoLiveWorker(
        f"Build {build.build_id} cannot be started by the docker runtime.",
        why=why,
        now=f"See that the engine can pull from its registry, or deliver commit {build.commit.short} again.",
    )


def _see_to(client: DockerClient, planned: ContainerPlan) -> None:
    """See to it that the container runs: it alone, however many of us try at the same moment."""
    container = _find(client, planned.name)
    if container is not None and _has_ended(container):
        _let_go(container)
        container = None
    container = container or _created(client, planned)
    if container is not None:
        _set_policy(container, FOR_GOOD)  # somebody may have begun to stop it
        container.start()  # one that runs already stays as it is


def _has_ended(container: Container) -> bool:
    """Whether the container needs another in its place: it ended, or the engine could not start it."""
    state = container.attrs["State"]
    return not (is_alive(container.attrs) or (state["Status"] == "created" and not state["Error"]))


def _let_go(container: Container) -> None:
    try:
        container.remove(force=True, v=True)  # with the volumes that a VOLUME of its image made
    except APIError as error:
        if error.status_code not in TAKEN_ELSEWHERE:
            raise


def _let_the_oldest_go(client: DockerClient, containers: list[Container]) -> None:
    """Remove what was stopped long ago; the version's metadata has the record, and the registry the image."""
    stopped = [c for c in containers if c.attrs["State"]["Status"] == "exited"]
    newest_first = sorted(
        stopped, key=lambda container: str(container.attrs["State"]["FinishedAt"]), reverse=True
    )
    for container in newest_first[KEPT:]:
        _let_go(container)
        _let_image_go(client, container)


def _let_image_go(client: DockerClient, container: Container) -> None:
    try:
        client.images.remove(container.attrs["Config"]["Image"])
    except APIError as error:  # another container needs it, or somebody else removed it
        if error.status_code not in TAKEN_ELSEWHERE:
            raise


def _created(client: DockerClient, planned: ContainerPlan) -> Container | None:
    """Create the container; None where another start was faster, which then sees to it."""
    try:
        container = _create(client, planned)
    except APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:
            raise
        return None
    for network in planned.networks[1:]:
        client.networks.get(network).connect(container)
    return container


def _find(client: DockerClient, name: str) -> Container | None:
    try:
        return client.containers.get(name)
    except NotFound:
        return None


def _create(client: DockerClient, planned: ContainerPlan) -> Container:
    options = planned.options
    made = client.api.create_container(
        planned.image,
        name=planned.name,
        environment=dict(planned.environment),
        labels=dict(planned.labels),
        # For whoever else stops it: a person, or the engine that is itself stopped. Docker's own is 10 s.
        stop_timeout=planned.stop_timeout,
        stop_signal="SIGTERM",  # whatever the image's base says
        host_config=client.api.create_host_config(
            network_mode=planned.networks[0] if planned.networks else None,
            # A first process that hands signals on and buries the dead: Python as process 1 does neither.
            init=True,
            restart_policy=FOR_GOOD,
            nano_cpus=round(options.cpus * NANOS) if options.cpus else None,
            mem_limit=options.memory,
            # Swap would turn a worker that is out of memory into one that is slow.
            memswap_limit=options.memory,
            shm_size=options.shared_memory,
            device_requests=_gpus(options),
            **CONFINED,
        ),
    )
    return client.containers.get(made["Id"])


def _gpus(options: DockerOptions) -> list[DeviceRequest] | None:
    if options.gpus is None:
        return None
    return [DeviceRequest(count=-1 if options.gpus == "all" else options.gpus, capabilities=[["gpu"]])]


def _stop(container: Container) -> None:
    record = _record(container)
    _set_policy(container, NO_MORE)  # else it would be there again when the engine is restarted
    container.stop(timeout=stop_timeout(record.host.grace if record else 0))


def _set_policy(container: Container, policy: Any) -> None:
    if container.attrs["HostConfig"]["RestartPolicy"]["Name"] != policy["Name"]:
        container.update(restart_policy=policy)


def _tells_most(container: Container) -> tuple[bool, str]:
    """The one that ended last, if any did; else the one that started last. Its times sort as text."""
    state: Mapping[str, Any] = container.attrs["State"]
    has_ended = state["Restarting"] or not state["Running"]
    return (has_ended, str(state["FinishedAt"] if has_ended else state["StartedAt"]))


def _record(container: Container) -> Build | None:
    try:
        return Build.model_validate_json(container.labels.get(RECORD, ""))
    except ValidationError:
        return None
