"""Which of docker's builders is there, and what it is called with."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from packaging.version import InvalidVersion, Version

from pipeline.command import run
from pipeline.errors import RuntimeUnavailable, ToolMissing
from pipeline.models import Value

METADATA = "metadata.json"
# From this release on, the docker client leaves BuildKit to buildx.
BUILDX_NEEDED = Version("23")
MOUNT = re.compile(r"--mount=\S+ +")


class Builder(StrEnum):
    """The builders, best first."""

    BUILDX = "docker buildx"
    BUILDKIT = "docker build with BuildKit"
    CLASSIC = "docker's classic builder"


class BuildOptions(Value):
    """What one build is made with, as the builder sees it."""

    tag: str
    platform: str | None = None
    push: bool = True
    arguments: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    secrets: Mapping[str, Path] = {}
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()


class Commands(Value):
    """What is run, in order, in the folder that holds the context."""

    build: tuple[str, ...]
    push: tuple[str, ...] = ()
    """Empty where the build pushes, or nothing is pushed."""
    environment: Mapping[str, str] = {}
    left_out: tuple[str, ...] = ()
    """What was asked for and this builder cannot do; the image is the same without it."""


def find_builder(environment: Mapping[str, str]) -> Builder:
    """Find the best builder of this machine's docker client.

    Raises:
        ToolMissing: there is no docker client.
        RuntimeUnavailable: its engine does not answer.
    """
    client = _client_version(environment)
    has_buildx = run(["docker", "buildx", "version"], cwd=Path.cwd(), environment=environment).returncode == 0
    return choose(client, has_buildx=has_buildx)


def choose(client: Version, *, has_buildx: bool) -> Builder:
    """Choose a builder by the docker client's version and whether it has buildx."""
    if has_buildx:
        return Builder.BUILDX
    return Builder.BUILDKIT if client < BUILDX_NEEDED else Builder.CLASSIC


def why_not_buildx(builder: Builder) -> str:
    """Say what is lost without buildx; empty where it is there."""
    lost = {
        Builder.BUILDX: "",
        Builder.BUILDKIT: "no cache can be exported",
        Builder.CLASSIC: "no build secrets, no cache of downloaded packages, and slower",
    }[builder]
    return f"The docker client has no buildx, so {builder} builds the image: {lost}." if lost else ""


def _client_version(environment: Mapping[str, str]) -> Version:
    # `docker version` prints the client's part even where it cannot reach an engine.
    ask = ["docker", "version", "--format", "{{.Client.Version}}|{{.Server.Version}}"]
    try:
        answer = run(ask, cwd=Path.cwd(), environment=environment)
    except FileNotFoundError:
        raise ToolMissing(
            "There is no docker client.",
            why="Images are built with `docker`, and no folder of PATH has it.",
            now='Install Docker, or set runtime = "process" in [tool.conduit].',
        ) from None
    if answer.returncode != 0:
        raise RuntimeUnavailable(
            "The Docker Engine does not answer.",
            why=answer.tail(3),
            now="Start it, or set DOCKER_HOST to one that runs; `docker info` tells more.",
        )
    return _version(answer.stdout.partition("|")[0].strip())


def _version(text: str) -> Version:
    try:
        return Version(re.split(r"[+-]", text)[0])
    except InvalidVersion:
        return BUILDX_NEEDED  # a development build is a new one


def plan(builder: Builder, options: BuildOptions) -> Commands:
    """Say what to run.

    Raises:
        ToolMissing: the builder cannot do without buildx what was asked for.
    """
    if builder is Builder.BUILDX:
        return Commands(build=_with_buildx(options))
    if builder is Builder.CLASSIC:
        _refuse_secrets(options)
    return Commands(
        build=("docker", "build", *_common(options), *_secrets(options), *_progress(builder), "context"),
        push=("docker", "push", options.tag) if options.push else (),
        environment={"DOCKER_BUILDKIT": "1" if builder is Builder.BUILDKIT else "0"},
        left_out=tuple(f"cache-to {cache}" for cache in options.cache_to),
    )


def _with_buildx(options: BuildOptions) -> tuple[str, ...]:
    return (
        *("docker", "buildx", "build", *_common(options), *_secrets(options), *_progress(Builder.BUILDX)),
        *(f"--cache-to={cache}" for cache in options.cache_to),
        # It holds the time of the build; GitHub's own attestation is made from the finished image.
        "--provenance=false",
        f"--metadata-file={METADATA}",
        "--push" if options.push else "--load",
        "context",
    )


def _common(options: BuildOptions) -> tuple[str, ...]:
    return (
        f"--tag={options.tag}",
        *([f"--platform={options.platform}"] if options.platform else []),
        *(f"--build-arg={name}={value}" for name, value in options.arguments.items()),
        *(f"--label={name}={value}" for name, value in options.labels.items()),
        *(f"--cache-from={cache}" for cache in options.cache_from),
    )


def _secrets(options: BuildOptions) -> tuple[str, ...]:
    return tuple(f"--secret=id={name},src={path}" for name, path in options.secrets.items())


def _progress(builder: Builder) -> tuple[str, ...]:
    return () if builder is Builder.CLASSIC else ("--progress=plain",)


def _refuse_secrets(options: BuildOptions) -> None:
    if options.secrets:
        raise ToolMissing(
            "The image cannot be built without docker buildx.",
            why=f"{Builder.CLASSIC.capitalize()} takes no build secrets: {', '.join(options.secrets)}.",
            now="Install the docker-buildx plugin, or build without the CA and secrets.",
        )


def without_mounts(dockerfile: str) -> str:
    """The Dockerfile as the classic builder reads it; what the mounts are for is done without."""
    return MOUNT.sub("", dockerfile)
