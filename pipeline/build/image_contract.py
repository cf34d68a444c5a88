"""The contract that an image really has, read by importing its code inside it, without network or secrets."""

import io
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from requests.exceptions import ConnectionError as NoAnswer
from requests.exceptions import ReadTimeout

from pipeline.build.context import SETTINGS
from pipeline.build.described import contract_from
from pipeline.build.engine import CONFINED, engine
from pipeline.command import tail
from pipeline.errors import BuildFailed, ImportFailed
from pipeline.models import Image
from pipeline.worker.contract import Contract

LINES = 60
"""Of the log: a module that prints for ever must not be kept in memory."""
OUTPUT = "/tmp/contract.json"  # noqa: S108 - in a container of its own
NO_HOST = re.compile(r"No module named '?pipeline")
DESCRIBE = ["python", "-m", "pipeline.worker", "describe", "--settings", str(SETTINGS), "--output", OUTPUT]


def contract_of(image: Image, environment: Mapping[str, str], *, timeout: float = 300) -> Contract:
    """Read an image's contract.

    Args:
        environment: where the engine is.
        timeout: seconds that the activity modules get to import.

    Raises:
        RuntimeUnavailable: the engine does not answer.
        BuildFailed: the image is not to be had, or does not hold the worker host.
        ImportFailed, NoActivity, DuplicateActivity, UntypedActivity: it has no contract.
    """
    with engine(environment) as client, _container(client, image) as container:
        return _describe(container, timeout)


@contextmanager
def _container(client: DockerClient, image: Image) -> Iterator[Container]:
    try:
        if image.repository:
            client.images.pull(image.repository, tag=image.digest)
        _check_terms(client.images.get(image.reference).attrs["Config"])
        container = client.containers.create(
            image.reference, entrypoint=DESCRIBE, network_mode="none", **CONFINED
        )
    except APIError as error:
        raise BuildFailed(
            f"The image {image.reference} is not to be had.",
            why=str(error)[:500],
            now="Build it again; `docker pull` of that name shows the same.",
        ) from error
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


def _check_terms(config: Mapping[str, Any]) -> None:
    """See that an image can be a worker's at all; the research repo may have brought its own Dockerfile."""
    # Newer engines leave out what is empty.
    if "pipeline.worker" not in (config.get("Entrypoint") or ()):
        raise _breaks_terms("Its ENTRYPOINT does not run pipeline.worker.")
    if config.get("Cmd"):
        raise _breaks_terms("It has a CMD, which its ENTRYPOINT would be given as arguments.")
    if config.get("User", "").partition(":")[0] in {"", "0", "root"}:
        raise _breaks_terms("It runs as root: it has no USER.")


def _breaks_terms(why: str) -> BuildFailed:
    return BuildFailed(
        "The image cannot be a worker's.",
        why=why,
        now="See docs/images.md for what a Dockerfile of your own must keep to.",
    )


def _describe(container: Container, timeout: float) -> Contract:
    log = _run(container, timeout)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "contract.json"
        _copy_out(container, output)
        if not output.exists() and NO_HOST.search(log):
            raise _breaks_terms(tail(log, 1))
        return contract_from(output, log)


def _run(container: Container, timeout: float) -> str:
    """Run the container to its end and return the end of its log."""
    try:
        container.start()
    except APIError as error:
        raise _breaks_terms(str(error.explanation or error)[:500]) from error
    try:
        container.wait(timeout=timeout)
    except (ReadTimeout, NoAnswer):
        raise ImportFailed(
            "The activity modules did not finish importing.",
            why=f"After {timeout:.0f} s they were still at it.",
            now="Move long work out of the modules into the `setup` hook, or raise `start-timeout`.",
            log=_log(container),
        ) from None
    return _log(container)


def _log(container: Container) -> str:
    return tail(container.logs(tail=LINES).decode(errors="replace"))


def _copy_out(container: Container, target: Path) -> None:
    """Copy what the container wrote; nothing where it wrote nothing."""
    try:
        chunks, _ = container.get_archive(OUTPUT)
    except NotFound:
        return
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        first = tar.getmembers()[0]
        entry = tar.extractfile(first) if first.isfile() else None  # a link may lead nowhere
        target.write_bytes(entry.read() if entry else b"")
