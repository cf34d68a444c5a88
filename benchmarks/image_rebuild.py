"""What a code-only push costs, and how large an image is, beside a Dockerfile as many write it.

python -m benchmarks.image_rebuild

Needs what `.ci/install-parts` installs. Both images have the same base and go to the same local registry.
"""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from benchmarks.parts import CONDUIT, run
from pipeline.build.image import build_image
from pipeline.models import Image
from tests.integration.docker.conftest import log_in
from tests.integration.docker.research import CERTIFICATES, ResearchRepo
from tests.parts.base_image import BASE_IMAGE, ensure_base_image
from tests.parts.buildx import docker_config
from tests.parts.docker_engine import docker_engine
from tests.parts.registry import Registry, registry_binary

ROUNDS = 5
NAIVE = f"""\
FROM {BASE_IMAGE}
COPY . /app
RUN --mount=type=secret,id=ca python3 -m venv /venv \\
 && PIP_CERT=/run/secrets/ca /venv/bin/pip install --quiet -r /app/requirements.txt
WORKDIR /app
CMD ["/venv/bin/python", "worker.py"]
"""


def main() -> None:
    """Run it and print the figures."""
    binary = registry_binary()
    assert binary, "no docker-registry: run .ci/install-parts"
    with (
        tempfile.TemporaryDirectory() as name,
        docker_engine() as address,
        pytest.MonkeyPatch.context() as patch,
    ):
        folders = {part: Path(name) / part for part in ("config", "registry", "repo")}
        for folder in folders.values():
            folder.mkdir()
        patch.setenv("DOCKER_HOST", address)
        patch.setenv("DOCKER_CONFIG", str(docker_config(folders["config"])))
        ensure_base_image(address)
        with Registry(binary, folders["registry"]) as registry:
            log_in(registry)
            measure(registry, ResearchRepo(folders["repo"], f"{registry.address}/team/conduit"))


def measure(registry: Registry, repo: ResearchRepo) -> None:
    """Push code-only commits, first with the shipped Dockerfile, then with the naive one."""
    image = build_image(repo.request(), os.environ)
    ours = [measured(registry, lambda: build_image(repo.request(), os.environ), repo) for _ in range(ROUNDS)]
    conduit_build(registry, repo)
    whole = [measured(registry, lambda: conduit_build(registry, repo), repo) for _ in range(ROUNDS)]
    name = f"{registry.address}/team/naive:latest"
    build_naive(repo, name)
    theirs = [measured(registry, lambda: build_naive(repo, name), repo) for _ in range(ROUNDS)]
    show("conduit", ours, size_of(image))
    show("naive", theirs, docker.from_env().images.get(name).attrs["Size"])
    show("`conduit build`, whole command", whole, size_of(image))


def measured(registry: Registry, build: Callable[[], object], repo: ResearchRepo) -> tuple[float, int]:
    """Commit a change of the code alone; the seconds of its build and push, and the bytes that it added."""
    repo.commit_code(factor=time.monotonic_ns())
    repo.request()  # exporting is not building
    before, begun = registry.bytes_stored(), time.monotonic()
    build()
    return time.monotonic() - begun, registry.bytes_stored() - before


def conduit_build(registry: Registry, repo: ResearchRepo) -> None:
    """Build and push HEAD as a job does: a process of its own, that also reads the contract in the image."""
    command = [
        *(*CONDUIT, "build", "--project", str(repo.root), "--runtime", "docker"),
        *("--registry", f"{registry.address}/team", "--ca", str(CERTIFICATES)),
    ]
    run(command, {**os.environ, "CONDUIT_HOME": str(repo.folder / "home")})


def build_naive(repo: ResearchRepo, name: str) -> None:
    """Build and push HEAD with the naive Dockerfile."""
    request = repo.request()
    source = request.code.source
    (source / "Dockerfile").write_text(NAIVE)
    (source / "requirements.txt").write_bytes(request.requirements.read_bytes())
    secret = f"--secret=id=ca,src={CERTIFICATES}"
    command = [
        "docker",
        "buildx",
        "build",
        "--quiet",
        "--provenance=false",
        secret,
        f"--tag={name}",
        "--push",
    ]
    subprocess.run([*command, str(source)], check=True, capture_output=True)


def size_of(image: Image) -> int:
    """The size in bytes of an image, unpacked."""
    return int(docker.from_env().images.pull(image.repository, tag=image.digest).attrs["Size"])


def show(name: str, rounds: list[tuple[float, int]], size: int) -> None:
    """Print one line of figures."""
    seconds = statistics.median(taken for taken, _ in rounds)
    pushed = max(added for _, added in rounds)
    base = docker.from_env().images.get(BASE_IMAGE).attrs["Size"]
    print(
        f"{name:30} code-only build and push {seconds:6.2f} s (median of {len(rounds)}), "
        f"pushed {pushed:>11,} bytes; image {size / 1e6:.0f} MB, {(size - base) / 1e6:.0f} above its base"
    )


if __name__ == "__main__":
    main()
