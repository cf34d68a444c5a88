"""From a commit's exported files to an image in a registry, known by its digest alone.

The tag that is pushed is the commit's and is for people's eyes. Nothing reads it: tags can be moved.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docker import auth

from pipeline.build import builders, registry
from pipeline.build.builders import METADATA, Builder, BuildOptions, Commands
from pipeline.build.context import DOCKERFILE, Code, lay_out
from pipeline.build.engine import engine
from pipeline.build.wishes import SecretId
from pipeline.command import Outcome, run, tail
from pipeline.errors import BuildFailed, PushFailed
from pipeline.models import AlgorithmName, Commit, Digest, Image, Repository, Value
from pipeline.options.image import Base, Platform
from pipeline.worker.settings import HostSettings

FAILED_PUSH = re.compile(r"^ > pushing |failed to push", re.MULTILINE)
REFUSED = re.compile(r"unauthori[sz]ed|no basic auth|denied|forbidden|\b40[13]\b", re.IGNORECASE)

Say = Callable[[str], None]


class ImageRequest(Value):
    """All that decides what is in an image, and how it is built."""

    algorithm: AlgorithmName
    commit: Commit
    contract: Digest
    code: Code
    requirements: Path
    """Every package pinned, with hashes; `temporalio` and `pydantic` are among them."""
    host: Path
    """Holds the package `pipeline` with the worker host in it."""
    settings: HostSettings
    repository: Repository
    base: Base
    platform: Platform | None = None
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    ca: Path | None = None
    """Certificates, in PEM, that the build trusts where it downloads packages."""
    secrets: Mapping[SecretId, Path] = {}
    dockerfile: Path | None = None
    """The research repo's own."""
    push: bool = True
    """Else the image stays in the engine and is known by its ID."""

    @property
    def tag(self) -> str:
        """What people see the image under."""
        return f"{self.repository}:{self.commit.sha}"


def labels(request: ImageRequest) -> dict[str, str]:
    """The image's labels; equal for two builds of one commit."""
    commit = request.commit
    _, at, base_digest = request.base.partition("@")
    return {
        "org.opencontainers.image.title": request.algorithm,
        "org.opencontainers.image.source": commit.repo,
        "org.opencontainers.image.revision": commit.sha,
        "org.opencontainers.image.version": commit.short,
        "org.opencontainers.image.created": commit.time.isoformat(),
        "org.opencontainers.image.base.name": request.base,
        **({"org.opencontainers.image.base.digest": base_digest} if at else {}),
        "conduit.algorithm": request.algorithm,
        "conduit.contract": request.contract,
    }


def options(request: ImageRequest) -> BuildOptions:
    """What the builder is told."""
    return BuildOptions(
        tag=request.tag,
        platform=request.platform,
        push=request.push,
        arguments={
            "BASE": request.base,
            "UV_VERSION": version("uv"),
            "PYTHONPATH": request.code.pythonpath,
            "WORKDIR": str(request.code.workdir),
            "SOURCE_DATE_EPOCH": str(int(request.commit.time.timestamp())),
        },
        labels=labels(request),
        secrets=_secrets(request),
        cache_from=request.cache_from,
        cache_to=request.cache_to,
    )


def _secrets(request: ImageRequest) -> dict[str, Path]:
    """The build's secrets by whole paths: docker runs in a folder of its own."""
    given = {**request.secrets, **({"ca": request.ca} if request.ca else {})}
    return {name: path.absolute() for name, path in given.items()}


def build_image(request: ImageRequest, environment: Mapping[str, str], say: Say = lambda line: None) -> Image:
    """Build an image and push it.

    Args:
        environment: what docker runs in; the registry's password is in docker's own configuration.
        say: is told what docker's older builders cannot do.

    Raises:
        ToolMissing: there is no docker client, or something was asked for that only buildx can do.
        RuntimeUnavailable: the engine does not answer.
        BuildFailed: a step of the Dockerfile failed; its output is in the log.
        PushFailed: the registry refused the image or did not answer.
    """
    builder = builders.find_builder(environment)
    commands = builders.plan(builder, options(request))
    for note in (builders.why_not_buildx(builder), *(f"Left out: {what}." for what in commands.left_out)):
        if note:
            say(note)
    with _laid_out(request, builder) as folder:
        _build(commands, request, folder, environment)
        if not request.push:
            return Image(repository="", digest=_inspect(request, environment)["Id"])
        digest = _pushed(request, folder, environment)
    fixed = registry.set_created(request.repository, digest, request.commit, environment, say)
    return Image(repository=request.repository, digest=fixed)


@contextmanager
def _laid_out(request: ImageRequest, builder: Builder) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="conduit-image-") as name:
        context = Path(name) / "context"
        context.mkdir()
        lay_out(
            context,
            code=request.code,
            host=request.host,
            settings=request.settings,
            requirements=request.requirements,
            dockerfile=request.dockerfile or DOCKERFILE,
        )
        if builder is Builder.CLASSIC and request.dockerfile is None:
            (context / "Dockerfile").write_text(builders.without_mounts(DOCKERFILE.read_text()))
        yield Path(name)


def _build(commands: Commands, request: ImageRequest, folder: Path, environment: Mapping[str, str]) -> None:
    surrounding = {**environment, **commands.environment}
    built = run(commands.build, cwd=folder, environment=surrounding)
    if built.returncode != 0:
        raise _push_failed(built, request) if FAILED_PUSH.search(built.stdout) else _build_failed(built)
    if commands.push:
        pushed = run(commands.push, cwd=folder, environment=surrounding)
        if pushed.returncode != 0:
            raise _push_failed(pushed, request)


def _build_failed(built: Outcome) -> BuildFailed:
    return BuildFailed(
        "The image could not be built.",
        why=_last_line(built.stdout),
        now="Mend that step of the Dockerfile, or the dependency that it installs, and build again.",
        log=_failing_step(built.stdout),
    )


def _failing_step(output: str) -> str:
    """BuildKit repeats the step that failed between two rules; other builders just end with it."""
    parts = re.split(r"^-{6,}$", output, flags=re.MULTILINE)
    return tail(parts[-2].strip("\n") if len(parts) > 2 else output, 40)  # noqa: PLR2004


def _last_line(output: str) -> str:
    return tail(output, 1).removeprefix("ERROR: ")


def _push_failed(pushed: Outcome, request: ImageRequest) -> PushFailed:
    host = request.repository.partition("/")[0]
    why = _last_line(pushed.stdout)
    if REFUSED.search(why):
        return PushFailed(
            f"The registry {host} refused the image.",
            why=why,
            now=f"Run `docker login {host}` as one who may push to {request.repository}; build again.",
        )
    return PushFailed(
        f"The image could not be pushed: the registry {host} cannot be reached.",
        why=why,
        now=f"Check the registry's name, and that the Docker Engine's machine reaches {host}.",
    )


def _pushed(request: ImageRequest, folder: Path, environment: Mapping[str, str]) -> str:
    """The digest under which the registry has the image."""
    metadata = folder / METADATA
    if metadata.exists():
        return str(json.loads(metadata.read_text())["containerimage.digest"])
    known = (str(name).partition("@") for name in _inspect(request, environment)["RepoDigests"])
    name_of = auth.resolve_repository_name  # docker.io/acme/x is acme/x to an engine
    return next(digest for name, _, digest in known if name_of(name) == name_of(request.repository))


def _inspect(request: ImageRequest, environment: Mapping[str, str]) -> dict[str, Any]:
    with engine(environment) as client:
        return dict(client.images.get(request.tag).attrs)
