from pathlib import Path

import pytest
from packaging.version import Version

from pipeline.build.builders import (
    Builder,
    BuildOptions,
    choose,
    plan,
    why_not_buildx,
    without_mounts,
)
from pipeline.build.context import DOCKERFILE
from pipeline.errors import ToolMissing

OPTIONS = BuildOptions(
    tag="host:5000/team/algo:abc",
    platform="linux/arm64",
    arguments={"BASE": "python:3.11-slim"},
    labels={"org.opencontainers.image.source": "$(reboot) `id`\n--push"},
    secrets={"ca": Path("/ca.pem")},
    cache_from=("type=gha",),
    cache_to=("type=gha,mode=max",),
)
COMMON = (
    "--tag=host:5000/team/algo:abc",
    "--platform=linux/arm64",
    "--build-arg=BASE=python:3.11-slim",
    "--label=org.opencontainers.image.source=$(reboot) `id`\n--push",
    "--cache-from=type=gha",
)


@pytest.mark.parametrize(
    ("client", "has_buildx", "builder"),
    [
        ("28.2.2", True, Builder.BUILDX),
        ("20.10.24", True, Builder.BUILDX),
        ("20.10.24", False, Builder.BUILDKIT),
        ("23.0.0", False, Builder.CLASSIC),
        ("28.2.2", False, Builder.CLASSIC),
    ],
)
def test_the_best_builder_of_a_client_is_chosen(client: str, has_buildx: bool, builder: Builder) -> None:
    assert choose(Version(client), has_buildx=has_buildx) is builder


def test_buildx_builds_and_pushes_in_one_command() -> None:
    commands = plan(Builder.BUILDX, OPTIONS)
    assert commands.build == (
        *("docker", "buildx", "build", *COMMON, "--secret=id=ca,src=/ca.pem", "--progress=plain"),
        *("--cache-to=type=gha,mode=max", "--provenance=false", "--metadata-file=metadata.json"),
        *("--push", "context"),
    )
    assert (commands.push, commands.left_out) == ((), ())


def test_buildx_keeps_the_image_in_the_engine_where_nothing_is_pushed() -> None:
    commands = plan(Builder.BUILDX, OPTIONS.model_copy(update={"push": False}))
    assert "--load" in commands.build
    assert "--push" not in commands.build


def test_buildkit_without_buildx_exports_no_cache_and_says_so() -> None:
    commands = plan(Builder.BUILDKIT, OPTIONS)
    assert commands.build == (
        *("docker", "build", *COMMON, "--secret=id=ca,src=/ca.pem", "--progress=plain", "context"),
    )
    assert commands.push == ("docker", "push", "host:5000/team/algo:abc")
    assert commands.environment == {"DOCKER_BUILDKIT": "1"}
    assert commands.left_out == ("cache-to type=gha,mode=max",)


def test_the_classic_builder_is_not_given_secrets() -> None:
    with pytest.raises(ToolMissing, match="without docker buildx") as missing:
        plan(Builder.CLASSIC, OPTIONS)
    assert "ca" in missing.value.why
    commands = plan(Builder.CLASSIC, OPTIONS.model_copy(update={"secrets": {}, "push": False}))
    assert commands.build == ("docker", "build", *COMMON, "context")
    assert commands.push == ()
    assert commands.environment == {"DOCKER_BUILDKIT": "0"}


def test_a_fallback_says_what_is_lost() -> None:
    assert why_not_buildx(Builder.BUILDX) == ""
    assert "no cache can be exported" in why_not_buildx(Builder.BUILDKIT)
    assert "no build secrets" in why_not_buildx(Builder.CLASSIC)


def test_the_classic_builder_gets_the_dockerfile_without_mounts() -> None:
    shipped = DOCKERFILE.read_text()
    assert "--mount=" in shipped
    plain = without_mounts(shipped)
    assert "--mount" not in plain
    assert plain.count("RUN") == shipped.count("RUN")


@pytest.mark.parametrize("refused", ["<<", "COPY --link", "# syntax="])
def test_the_dockerfile_is_for_old_engines_too(refused: str) -> None:
    instructions = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("# ")]
    assert not any(refused in line for line in instructions)


def test_the_containers_first_command_gets_signals() -> None:
    assert '\nENTRYPOINT ["python", "-m", "pipeline.worker", "run", ' in DOCKERFILE.read_text()
