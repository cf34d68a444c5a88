"""A build record that somebody else wrote: read within bounds, parsed into the model, held to what was asked for."""

from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import RecordRefused
from pipeline.models import Build, Image

LARGEST = 900_000
"""Bytes. It goes into the version's metadata, of which a Temporal server takes one megabyte."""
HOSTS_NETWORK = "host"


def read_record(file: Path) -> Build:
    """Read a build record.

    Raises:
        RecordRefused: there is none, it is too large, or it is not one.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise _refused(f"{file} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST:
        raise _refused(f"{file} is larger than {LARGEST:,} bytes.")
    try:
        return Build.model_validate_json(content)
    except ValidationError as error:
        raise _refused(_first(error)) from None


def _first(error: ValidationError) -> str:
    """What is wrong first; the record's own text is not repeated."""
    detail = error.errors(include_input=False, include_context=False, include_url=False)[0]
    place = ".".join(str(part)[:40] for part in detail["loc"][:6])
    kind = detail["type"]
    what = "it is not JSON" if kind == "json_invalid" else f"{place or 'the record'} is not valid ({kind})"
    return f"As the first of {error.error_count()} faults, {what}."


def check(record: Build, *, algorithm: str | None, sha: str | None, repository: str | None) -> None:
    """Hold a record to what the caller wants to release.

    Raises:
        RecordRefused: it is of another algorithm or commit, or asks for what a record may not ask for.
    """
    if algorithm is not None and record.algorithm != algorithm:
        raise _refused(f"It is of the algorithm {record.algorithm}, and {algorithm[:63]} was asked for.")
    if record.host.task_queue != record.algorithm:
        raise _refused("Its workers would take the calls of another algorithm's task queue.")
    if sha is not None and record.commit.sha != sha:
        raise _refused(f"It is of commit {record.commit.short}, and {sha[:12]} was asked for.")
    if isinstance(record.artifact, Image):
        _check_image(record, record.artifact, repository)


def _check_image(record: Build, image: Image, repository: str | None) -> None:
    if repository is not None and image.repository != repository:
        raise _refused(f"Its image is not in {repository}.")
    if HOSTS_NETWORK in record.workers.docker.networks:
        raise _refused("It asks for the network of the host, and so for all that listens there.")


def without_env_file(record: Build) -> Build:
    """The record without a file that would be read here, on the machine that releases, and given to its workers."""
    docker = record.workers.docker.model_copy(update={"env_file": None})
    return record.model_copy(update={"workers": record.workers.model_copy(update={"docker": docker})})


def _refused(why: str) -> RecordRefused:
    return RecordRefused(
        "The build record cannot be released.",
        why=why,
        now="Release the file that `conduit build --output` wrote for this algorithm and commit, unchanged.",
    )
