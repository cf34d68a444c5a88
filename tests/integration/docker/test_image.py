"""Building images, with a real engine and a real registry."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from pipeline.build import image_contract
from pipeline.build.builders import Builder, find_builder
from pipeline.build.image import ImageRequest, build_image
from pipeline.build.image_contract import contract_of
from pipeline.errors import BuildFailed, ImportFailed, PushFailed, RuntimeUnavailable, ToolMissing
from pipeline.models import Image
from pipeline.worker.contract import Contract
from tests.integration.docker.research import ALGORITHM, CERTIFICATES, ResearchRepo
from tests.parts.ports import free_port
from tests.parts.registry import Registry

NO_PLUGINS = "no-plugins"


def inside(image: Image, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the image."""
    docker_run = ["docker", "run", "--rm", "--network=none", f"--entrypoint={command[0]}", image.reference]
    return subprocess.run([*docker_run, *command[1:]], capture_output=True, text=True, check=False)


@pytest.fixture
def client(image: Image) -> docker.DockerClient:
    """The engine, with the image pulled by its digest."""
    client = docker.from_env()
    client.images.pull(image.repository, tag=image.digest)
    return client


@pytest.fixture
def docker_wrapper(tmp_path: Path) -> Callable[[str], Mapping[str, str]]:
    """Put a shell script in front of the docker client."""

    def wrap(script: str) -> Mapping[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        wrapper = folder / "docker"
        wrapper.write_text(f"#!/bin/sh\nREAL={shutil.which('docker')}\n{script}\n")
        wrapper.chmod(0o755)
        return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}

    return wrap


def test_the_labels_say_where_an_image_comes_from(
    client: docker.DockerClient, image: Image, image_request: ImageRequest
) -> None:
    labels = client.images.get(image.reference).labels
    commit = image_request.commit
    assert labels["org.opencontainers.image.source"] == "https://example.org/team/doubling.git"
    assert labels["org.opencontainers.image.revision"] == commit.sha
    assert labels["org.opencontainers.image.version"] == commit.short
    assert labels["conduit.contract"] == image_request.contract


def test_the_contract_is_the_images_own(image: Image) -> None:
    contract = contract_of(image, os.environ)
    assert [activity.name for activity in contract.activities] == ["double"]


def test_its_contract_is_read_in_confinement(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(container: Container, timeout: float) -> Contract:
        host = container.attrs["HostConfig"]
        assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
        assert host["LogConfig"]["Type"] == "local"
        return Contract(activities=())

    monkeypatch.setattr(image_contract, "_describe", seen)
    contract_of(image, os.environ)


def test_nothing_in_an_image_runs_as_root(client: docker.DockerClient, image: Image) -> None:
    assert inside(image, "id", "-u").stdout.strip() not in {"", "0"}
    assert inside(image, "touch", "/app/file", "/conduit/file", "/venv/file").returncode != 0


@pytest.mark.parametrize("program", ["uv", "pip", "pip3", "conduit", "gcc", "git", "docker"])
def test_an_image_has_no_build_tool(image: Image, program: str) -> None:
    found = inside(image, "python", "-c", f"import shutil; print(shutil.which('{program}'))")
    assert found.stdout.strip() == "None"


@pytest.mark.parametrize("module", ["pip", "uv", "typer", "docker", "pipeline.cli", "pipeline.build"])
def test_an_image_has_no_module_of_the_toolkit_but_the_host(image: Image, module: str) -> None:
    imported = inside(image, "python", "-c", f"import pipeline.worker, {module}")
    assert "ModuleNotFoundError" in imported.stderr


def test_a_commit_has_one_digest_with_and_without_a_cache(
    image: Image, image_request: ImageRequest, docker_wrapper: Callable[[str], Mapping[str, str]]
) -> None:
    without_cache = docker_wrapper(
        'case "$2" in build) shift 2; exec $REAL buildx build --no-cache "$@";; *) exec $REAL "$@";; esac'
    )
    assert build_image(image_request, without_cache) == image
    assert build_image(image_request, os.environ) == image


def test_a_code_only_commit_pushes_a_few_kilobytes(
    repo: ResearchRepo, image: Image, registry: Registry
) -> None:
    before = registry.bytes_stored()
    repo.commit_code(factor=3)
    newer = build_image(repo.request(), os.environ)
    assert newer != image
    # The configuration and the manifest are counted twice: as built, and with the commit's time.
    assert 0 < registry.bytes_stored() - before < 10_000


def test_a_tag_that_was_moved_changes_nothing(image: Image, image_request: ImageRequest) -> None:
    subprocess.run(["docker", "tag", image_request.base, image_request.tag], check=True)
    subprocess.run(["docker", "push", image_request.tag], check=True, capture_output=True)
    assert [activity.name for activity in contract_of(image, os.environ).activities] == ["double"]


def test_an_image_need_not_be_pushed(repo: ResearchRepo, image: Image) -> None:
    nowhere = f"127.0.0.1:{free_port()}/team/{ALGORITHM}"
    local = build_image(repo.request(repository=nowhere, push=False), os.environ)
    assert local.repository == ""
    assert [activity.name for activity in contract_of(local, os.environ).activities] == ["double"]


def test_a_wrong_password_is_told_from_a_registry_that_is_away(
    image: Image, image_request: ImageRequest, registry: Registry, tmp_path: Path
) -> None:
    config = tmp_path / "docker-config"
    shutil.copytree(os.environ["DOCKER_CONFIG"], config, symlinks=True)
    credentials = {"auths": {registry.address: {"auth": "Y29uZHVpdDp3cm9uZw=="}}}
    (config / "config.json").write_text(json.dumps(credentials))
    with pytest.raises(PushFailed) as refused:
        build_image(image_request, {**os.environ, "DOCKER_CONFIG": str(config)})
    assert "refused" in refused.value.what
    assert f"docker login {registry.address}" in refused.value.now
    assert refused.value.why


def test_a_registry_that_is_away_is_named(image: Image, repo: ResearchRepo) -> None:
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(PushFailed) as away:
        build_image(repo.request(repository=f"{host}/team/{ALGORITHM}"), os.environ)
    assert f"{host} cannot be reached" in away.value.what
    assert "connection refused" in away.value.why


def test_the_failing_step_of_a_dockerfile_is_shown(image: Image, repo: ResearchRepo, tmp_path: Path) -> None:
    broken = tmp_path / "Dockerfile"
    broken.write_text("ARG BASE\nFROM ${BASE}\nRUN echo fetching the weights && exit 7\n")
    with pytest.raises(BuildFailed) as failed:
        build_image(repo.request(dockerfile=broken), os.environ)
    assert "exit 7" in failed.value.log
    assert "fetching the weights" in failed.value.log
    assert "exit code: 7" in failed.value.why


def test_a_dockerfile_that_is_none_is_shown(image: Image, repo: ResearchRepo, tmp_path: Path) -> None:
    broken = tmp_path / "Dockerfile"
    broken.write_text("FRM scratch\n")
    with pytest.raises(BuildFailed, match="could not be built") as failed:
        build_image(repo.request(dockerfile=broken), os.environ)
    assert "unknown instruction: FRM" in failed.value.why


ENTRYPOINT = 'ENTRYPOINT ["python3", "-m", "pipeline.worker", "run"]'


@pytest.mark.parametrize(
    ("dockerfile", "why"),
    [
        (f"FROM ${{BASE}}\n{ENTRYPOINT}\n", "runs as root"),
        (f"FROM ${{BASE}}\nUSER root:1\n{ENTRYPOINT}\n", "runs as root"),
        (f'FROM ${{BASE}}\nUSER 10001\n{ENTRYPOINT}\nCMD ["--verbose"]\n', "has a CMD"),
        ("FROM ${BASE}\nUSER 10001\n", "ENTRYPOINT does not run pipeline.worker"),
        (f"FROM ${{BASE}}\nUSER 10001\n{ENTRYPOINT}\n", '"python": executable file not found'),
        (
            f"FROM ${{BASE}}\nRUN ln -s python3 /usr/bin/python\nUSER 10001\n{ENTRYPOINT}\n",
            "No module named 'pipeline'",
        ),
    ],
)
def test_a_dockerfile_that_breaks_the_terms_is_refused(
    image: Image, repo: ResearchRepo, tmp_path: Path, dockerfile: str, why: str
) -> None:
    alien = tmp_path / "Dockerfile"
    alien.write_text(f"ARG BASE\n{dockerfile}")
    built = build_image(repo.request(dockerfile=alien, push=False), os.environ)
    with pytest.raises(BuildFailed, match="cannot be a worker's") as refused:
        contract_of(built, os.environ)
    assert why in refused.value.why


def test_a_module_that_does_not_import_leaves_no_contract(
    image: Image, repo: ResearchRepo, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "doubling.py").write_text("import weights_of_the_model\n")
    request = repo.request()
    code = request.code.model_copy(update={"source": source, "search": (source,)})
    built = build_image(repo.request(code=code, push=False), os.environ)
    with pytest.raises(ImportFailed) as failed:
        contract_of(built, os.environ)
    assert "weights_of_the_model" in failed.value.why + failed.value.log


def test_build_secrets_are_not_left_in_the_image(image: Image, repo: ResearchRepo, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    (tmp_path / "Dockerfile").write_text(
        "ARG BASE\nFROM ${BASE}\nRUN --mount=type=secret,id=token test s3cret = $(cat /run/secrets/token)\n"
    )
    request = repo.request(
        dockerfile=tmp_path / "Dockerfile", secrets={"token": tmp_path / "token"}, push=False
    )
    built = build_image(request, os.environ)
    assert "s3cret" not in inside(built, "sh", "-c", "cat /run/secrets/token; env").stdout


def test_an_engine_that_is_away_is_named(repo: ResearchRepo, tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/docker.sock"
    with pytest.raises(RuntimeUnavailable) as away:
        build_image(repo.request(), {**os.environ, "DOCKER_HOST": nowhere})
    assert nowhere in away.value.why


def test_a_machine_without_docker_is_told_what_to_do(repo: ResearchRepo, tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="no docker client"):
        build_image(repo.request(), {"PATH": str(tmp_path)})


def clients_without_buildx(tmp_path: Path) -> Mapping[Builder, Mapping[str, str]]:
    """The machine's docker clients by the builder that each falls back to, bereft of their plugins."""
    config = tmp_path / NO_PLUGINS
    config.mkdir()
    shutil.copy(Path(os.environ["DOCKER_CONFIG"]) / "config.json", config)
    found: dict[Builder, Mapping[str, str]] = {}
    for folder in os.environ["PATH"].split(":"):
        if (Path(folder) / "docker").exists():
            surrounding = {
                **os.environ,
                "DOCKER_CONFIG": str(config),
                "PATH": f"{folder}:{os.environ['PATH']}",
            }
            found.setdefault(find_builder(surrounding), surrounding)
    return found


@pytest.mark.parametrize("builder", [Builder.BUILDKIT, Builder.CLASSIC])
def test_without_buildx_another_builder_is_used_and_named(
    image: Image, repo: ResearchRepo, base_with_certificates: str, tmp_path: Path, builder: Builder
) -> None:
    surrounding = clients_without_buildx(tmp_path).get(builder)
    if surrounding is None:
        pytest.skip(f"no docker client here falls back to {builder}")
    said: list[str] = []
    request = repo.request(ca=None, base=base_with_certificates, cache_to=("type=inline",))
    built = build_image(request, surrounding, said.append)
    assert str(builder) in said[0]
    assert "Left out: cache-to type=inline." in said
    assert [activity.name for activity in contract_of(built, os.environ).activities] == ["double"]


@pytest.fixture(scope="module")
def base_with_certificates(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base that trusts this machine's certificates, for builders that take no secret."""
    folder = tmp_path_factory.mktemp("base")
    shutil.copy(CERTIFICATES, folder / "ca.pem")
    (folder / "Dockerfile").write_text(
        f"FROM {base_image}\nCOPY ca.pem /ca.pem\nENV PIP_CERT=/ca.pem SSL_CERT_FILE=/ca.pem\n"
    )
    name = "conduit-ci/python-with-ca:3.11"
    subprocess.run(
        ["docker", "buildx", "build", "--load", f"--tag={name}", folder], check=True, capture_output=True
    )
    return name
