import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.models.containers import Container
from pydantic import ValidationError

from pipeline.build import image
from pipeline.build.context import Code
from pipeline.build.image import ImageRequest, labels, options
from pipeline.build.image_contract import _check_terms, _copy_out
from pipeline.build.registry import at_time
from pipeline.errors import BuildFailed
from pipeline.models import Commit
from pipeline.worker.settings import HostSettings

SHA = 40 * "a"
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DIGEST = "sha256:" + 64 * "b"


def request(**changes: Any) -> ImageRequest:
    asked: dict[str, Any] = {
        "algorithm": "speaker-id",
        "commit": Commit(sha=SHA, time=TIME, author="Ada", subject="s", repo="https://example.org/r.git"),
        "contract": DIGEST,
        "code": Code(source=Path("/s"), search=(Path("/s"),)),
        "requirements": Path("/r.txt"),
        "host": Path("/host"),
        "settings": HostSettings(task_queue="speaker-id", activities=("a",)),
        "repository": "127.0.0.1:5000/team/speaker-id",
        "base": "python:3.11-slim",
    }
    return ImageRequest.model_validate({**asked, **changes})


@pytest.mark.parametrize(
    ("repository", "known_as"),
    [("docker.io/acme/speaker-id", "acme/speaker-id"), ("ghcr.io/acme/speaker-id",) * 2],
)
def test_without_buildx_the_digest_is_found_under_the_name_that_docker_gives_the_repository(
    repository: str, known_as: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = [f"quay.io/acme/speaker-id@sha256:{64 * 'c'}", f"{known_as}@{DIGEST}"]
    monkeypatch.setattr(image, "_inspect", lambda *_: {"RepoDigests": digests})
    assert image._pushed(request(repository=repository), tmp_path, {}) == DIGEST


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({}, "ENTRYPOINT"),
        ({"Entrypoint": ["python", "-m", "pipeline.worker"], "Cmd": ["run"]}, "CMD"),
        ({"Entrypoint": ["python", "-m", "pipeline.worker"]}, "as root"),
        ({"Entrypoint": ["python", "-m", "pipeline.worker"], "User": "0:0"}, "as root"),
    ],
)
def test_an_image_that_breaks_the_terms_is_refused_also_by_engines_that_leave_out_what_is_empty(
    config: dict[str, Any], why: str
) -> None:
    with pytest.raises(BuildFailed, match="cannot be a worker's") as refused:
        _check_terms(config)
    assert why in refused.value.why


def test_the_labels_are_those_of_the_oci() -> None:
    assert labels(request()) == {
        "org.opencontainers.image.title": "speaker-id",
        "org.opencontainers.image.source": "https://example.org/r.git",
        "org.opencontainers.image.revision": SHA,
        "org.opencontainers.image.version": SHA[:12],
        "org.opencontainers.image.created": "2026-01-02T03:04:05+00:00",
        "org.opencontainers.image.base.name": "python:3.11-slim",
        "conduit.algorithm": "speaker-id",
        "conduit.contract": DIGEST,
    }


def test_a_pinned_base_is_recorded_by_its_digest() -> None:
    pinned = labels(request(base=f"python:3.11-slim@{DIGEST}"))
    assert pinned["org.opencontainers.image.base.digest"] == DIGEST


def test_the_builder_is_told_the_commits_time_and_the_certificates() -> None:
    told = options(request(ca=Path("/ca.pem"), secrets={"netrc": Path("/netrc")}))
    assert told.arguments["SOURCE_DATE_EPOCH"] == str(int(TIME.timestamp()))
    assert told.secrets == {"netrc": Path("/netrc"), "ca": Path("/ca.pem")}
    assert told.tag == f"127.0.0.1:5000/team/speaker-id:{SHA}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("repository", "--push"),
        ("repository", "host/Name"),
        ("repository", "host/name:tag"),
        ("repository", "host/name\n"),
        ("repository", "name"),
        ("base", "--load"),
        ("base", "python\nRUN id"),
        ("platform", "linux/amd64,linux/arm64"),
        ("secrets", {"a,src=/etc/shadow": Path("/x")}),
    ],
)
def test_what_docker_would_read_otherwise_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        request(**{field: value})


def test_all_steps_of_an_image_get_the_commits_time() -> None:
    config = {
        "created": "2026-05-05T00:00:00.1Z",
        "os": "linux",
        "history": [{"created": "2020", "x": 1}, {}],
    }
    stamp = "2026-01-02T03:04:05Z"
    assert at_time(config, TIME) == {
        "created": stamp,
        "os": "linux",
        "history": [{"created": stamp, "x": 1}, {"created": stamp}],
    }


def test_an_image_that_has_the_commits_time_stays_as_it_is() -> None:
    config = {"created": "2026-01-02T03:04:05Z", "history": [{"created": "2020-01-01T00:00:00Z"}]}
    assert at_time(config, TIME) == config


def test_secrets_are_found_from_the_folder_in_which_docker_runs() -> None:
    told = options(request(ca=Path("ca.pem"), secrets={"token": Path("/run/token")}))
    assert told.secrets == {"ca": Path.cwd() / "ca.pem", "token": Path("/run/token")}


def test_a_link_in_the_place_of_a_contract_leads_nowhere(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        link = tarfile.TarInfo("contract.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    container = SimpleNamespace(get_archive=lambda path: ([packed.getvalue()], {}))
    _copy_out(cast(Container, container), tmp_path / "contract.json")
    assert (tmp_path / "contract.json").read_bytes() == b""
