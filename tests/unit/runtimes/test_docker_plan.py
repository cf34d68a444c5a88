from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.errors import InvalidValue
from pipeline.models import Build, Commit, Image, Workers, build_id
from pipeline.options.docker import DockerOptions
from pipeline.runtimes.docker_plan import plan, why_ended, worker, worker_environment
from pipeline.runtimes.portable import portable
from pipeline.worker.contract import Contract
from pipeline.worker.settings import HostSettings

SHA = 40 * "a"
IMAGE = Image(digest="sha256:" + 64 * "b", repository="host/name")
BUILD = Build(
    algorithm="speaker-id",
    build_id=build_id(SHA, IMAGE.digest),
    commit=Commit(sha=SHA, time=datetime(2026, 1, 1, tzinfo=UTC), author="Ada", subject="s", repo="r"),
    artifact=IMAGE,
    contract=Contract(activities=()),
    host=HostSettings(task_queue="speaker-id", activities=("a",)),
)
RUNNING = {
    "Status": "running",
    "Running": True,
    "Restarting": False,
    "Error": "",
    "ExitCode": 0,
    "OOMKilled": False,
}


def attributes(**state: Any) -> dict[str, Any]:
    ended = {"Status": "exited", "Running": False, "StartedAt": "2026-01-02T03:04:05.123456789Z"}
    return {
        "Id": "0123456789abcdef",
        "RestartCount": 0,
        "Config": {"Labels": dict(plan(BUILD, "image", 2, {}, namespace="a").labels)},
        "HostConfig": {"Memory": 256 << 20},
        "State": {**RUNNING, **ended, **state},
    }


def test_a_container_is_named_after_its_replica_and_found_by_its_labels() -> None:
    planned = plan(BUILD, IMAGE.reference, 2, {"TEMPORAL_ADDRESS": "temporal:7233"}, namespace="team/a")
    assert planned.name == f"conduit.team_a.speaker-id.{BUILD.build_id}.2"
    assert planned.image == f"host/name@{IMAGE.digest}"
    assert planned.labels["conduit.algorithm"] == "speaker-id"
    assert planned.labels["conduit.build-id"] == BUILD.build_id
    assert planned.labels["conduit.namespace"] == "team/a"
    assert planned.labels["conduit.replica"] == "2"
    assert Build.model_validate_json(planned.labels["conduit.build"]) == BUILD
    assert planned.environment == {
        "TEMPORAL_ADDRESS": "temporal:7233",
        "TEMPORAL_DEPLOYMENT_NAME": "speaker-id",
        "TEMPORAL_WORKER_BUILD_ID": BUILD.build_id,
    }


def test_no_secret_is_in_a_label() -> None:
    planned = plan(BUILD, IMAGE.reference, 1, {"TEMPORAL_API_KEY": "s3cret"}, namespace="a")
    assert "s3cret" not in str(planned.labels)


@pytest.mark.parametrize(
    ("address", "chosen", "networks"),
    [
        ("127.0.0.1:7233", (), ("host",)),
        ("localhost:7233", (), ("host",)),
        ("[::1]:7233", (), ("host",)),
        ("127.0.0.1:7233", ("mine", "other"), ("mine", "other")),
        ("temporal.example.org:7233", (), ()),
        ("localhost.example.org:7233", (), ()),
        ("", (), ()),
    ],
)
def test_a_server_on_this_machine_is_reached_through_the_hosts_network(
    address: str, chosen: tuple[str, ...], networks: tuple[str, ...]
) -> None:
    build = BUILD.model_copy(update={"workers": Workers(docker=DockerOptions(networks=chosen))})
    planned = plan(build, "image", 1, {"TEMPORAL_ADDRESS": address}, namespace="a")
    assert planned.networks == networks


@pytest.mark.parametrize(
    ("state", "restarts", "why"),
    [
        ({"Status": "running", "Running": True}, 1, ""),
        ({"Status": "created"}, 0, ""),
        ({"Status": "created", "Error": "no such device"}, 0, "not started: no such device"),
        ({"ExitCode": 0}, 0, "exit code 0"),
        ({"ExitCode": 3}, 1, "exit code 3, after 1 restart"),
        ({"Status": "restarting", "Restarting": True, "ExitCode": 1}, 2, "exit code 1, after 2 restarts"),
        ({"ExitCode": 137}, 0, "killed by signal 9"),
        ({"ExitCode": 137, "OOMKilled": True}, 0, "killed (out of memory; its limit is 256 MiB)"),
    ],
)
def test_the_end_of_a_container_is_explained(state: dict[str, Any], restarts: int, why: str) -> None:
    assert why_ended({**attributes(**state), "RestartCount": restarts}) == why


def test_a_container_without_a_limit_is_not_said_to_have_one() -> None:
    unlimited = {**attributes(ExitCode=137, OOMKilled=True), "HostConfig": {"Memory": 0}}
    assert why_ended(unlimited) == "killed (out of memory)"


def test_a_container_is_read_as_a_worker() -> None:
    seen = worker(attributes(Status="restarting", Restarting=True, ExitCode=1))
    assert seen is not None
    assert (seen.build_id, seen.replica, seen.handle, seen.alive) == (BUILD.build_id, 2, "0123456789ab", True)
    assert seen.started == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)


@pytest.mark.parametrize(("restarts", "alive"), [(0, True), (2, True), (3, False), (40, False)])
def test_a_container_that_fails_again_and_again_counts_as_dead(restarts: int, *, alive: bool) -> None:
    failing = attributes(Status="restarting", Restarting=True, Running=True, ExitCode=1)
    seen = worker({**failing, "RestartCount": restarts})
    assert seen is not None
    assert seen.alive == alive


def test_a_container_that_never_started_has_no_time() -> None:
    seen = worker(attributes(Status="created", StartedAt="0001-01-01T00:00:00Z"))
    assert seen is not None
    assert seen.started is None


@pytest.mark.parametrize(
    "labels", [{}, {"conduit.replica": "one"}, {"conduit.replica": "1", "conduit.build-id": "--"}, None]
)
def test_somebody_elses_container_is_no_worker(labels: dict[str, str] | None) -> None:
    assert worker({**attributes(), "Config": {"Labels": labels}}) is None


def test_the_env_file_is_read_as_docker_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "worker.env"
    file.write_text('# comment\n\nMODEL=a b\nQUOTED="x"\nEMPTY=\nTEMPORAL_ADDRESS=theirs\n')
    found = worker_environment({"TEMPORAL_ADDRESS": "ours:7233"}, file, None)
    assert found == {"MODEL": "a b", "QUOTED": '"x"', "EMPTY": "", "TEMPORAL_ADDRESS": "ours:7233"}


def test_who_runs_the_machine_may_know_the_server_by_another_name(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.env", tmp_path / "theirs.env"
    ours.write_text("TEMPORAL_ADDRESS=temporal:7233\nREGION=north\n")
    theirs.write_text("REGION=south\nMODEL=a\n")
    found = worker_environment({"TEMPORAL_ADDRESS": "127.0.0.1:7233"}, theirs, ours)
    assert found == {"TEMPORAL_ADDRESS": "temporal:7233", "REGION": "north", "MODEL": "a"}


def test_a_worker_is_told_the_address_that_a_client_takes_by_default() -> None:
    assert worker_environment({}, None, None) == {"TEMPORAL_ADDRESS": "localhost:7233"}


def test_a_line_that_is_no_variable_is_refused_but_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "worker.env"
    file.write_text("s3cret\n")
    with pytest.raises(InvalidValue, match=r"worker\.env") as refused:
        worker_environment({}, file, None)
    assert "s3cret" not in str(refused.value.fields())


def test_an_env_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"missing\.env"):
        worker_environment({}, None, tmp_path / "missing.env")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory", "lots"),
        ("memory", "0m"),
        ("cpus", 0),
        ("gpus", 0),
        ("networks", ["--a"]),
        ("max-restarts", 0),
    ],
)
def test_impossible_limits_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        DockerOptions.model_validate({field: value})


def test_a_connection_is_carried_whole(tmp_path: Path) -> None:
    certificate = tmp_path / "cert.pem"
    certificate.write_text("CERT")
    config = tmp_path / "temporal.toml"
    config.write_text('[profile.prod]\naddress = "temporal.example.org:7233"\nnamespace = "ml"\n')
    connection = {
        "TEMPORAL_CONFIG_FILE": str(config),
        "TEMPORAL_PROFILE": "prod",
        "TEMPORAL_API_KEY": "key",
        "TEMPORAL_GRPC_META_X_TEAM": "ml",
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(certificate),
        "TEMPORAL_TLS_SERVER_NAME": "inner",
    }
    carried = portable(connection)
    assert carried == {
        "TEMPORAL_ADDRESS": "temporal.example.org:7233",
        "TEMPORAL_NAMESPACE": "ml",
        "TEMPORAL_API_KEY": "key",
        "TEMPORAL_GRPC_META_X_TEAM": "ml",
        "TEMPORAL_TLS_CLIENT_CERT_DATA": "CERT",
        "TEMPORAL_TLS_SERVER_NAME": "inner",
    }
    assert portable(carried) == carried


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue) as refused:
        portable({"TEMPORAL_TLS_CLIENT_KEY_PATH": str(tmp_path / "missing.key")})
    assert "missing.key" in refused.value.why
