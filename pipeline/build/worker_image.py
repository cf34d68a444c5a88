"""From a commit to a build whose artifact is an image: the route of `conduit build` with the `docker` runtime."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.build import local
from pipeline.build.context import Code
from pipeline.build.examples import read_examples
from pipeline.build.image import ImageRequest, build_image
from pipeline.build.image_contract import contract_of
from pipeline.build.wishes import ImageWishes
from pipeline.command import run
from pipeline.errors import InvalidValue
from pipeline.models import Build, build_id
from pipeline.project import Project

PYTHON_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def build(
    project: Project,
    home: Path,
    environment: Mapping[str, str],
    wishes: ImageWishes,
    say: Callable[[str], None],
) -> Build:
    """Build a commit's image, push it, and read its contract inside it.

    Raises:
        UnsafeTree, NoDependencies, EnvironmentFailed: the commit cannot be laid out.
        ImportFailed, NoActivity, DuplicateActivity, UntypedActivity: its contract cannot be read.
        ToolMissing, RuntimeUnavailable, BuildFailed, PushFailed: see `image.build_image`.
    """
    if not wishes.is_pushed:
        say("The image is not pushed: only workers of this Docker Engine can be started from it.")
    with local.staged(project, home, environment) as stage:
        contract = local.read_contract(project, stage, environment)
        examples = read_examples(stage.project, project.config.gates.examples, contract)
        request = _request(project, stage, wishes, contract.digest)
        image = build_image(request, environment, say)
        inside = contract_of(image, environment, timeout=project.config.start_timeout.total_seconds())
        if (
            inside.digest != contract.digest
        ):  # the label has to name the image's own; all else is in the cache
            image = build_image(request.model_copy(update={"contract": inside.digest}), environment, say)
    return Build(
        algorithm=project.config.algorithm,
        build_id=build_id(project.commit.sha, image.digest, placeholder=project.config.placeholder),
        commit=project.commit,
        artifact=image,
        contract=inside,
        host=request.settings,
        workers=project.workers,
        release=project.config.release,
        gates=project.config.gates,
        examples=examples,
    )


def _request(project: Project, stage: local.Staged, wishes: ImageWishes, contract: str) -> ImageRequest:
    config = project.config
    return ImageRequest(
        algorithm=config.algorithm,
        commit=project.commit,
        contract=contract,
        code=Code(source=stage.folder / "source", project=project.commit.path, search=stage.code),
        requirements=stage.environment.requirements,
        host=stage.folder / "host",
        settings=local.host_settings(project, stage),
        repository=wishes.place(config.algorithm),
        base=wishes.base or config.image.base or _slim(stage),
        platform=wishes.platform or config.image.platform,
        cache_from=wishes.cache_from,
        cache_to=wishes.cache_to,
        ca=wishes.ca,
        secrets=wishes.secrets,
        dockerfile=_dockerfile(stage.project, config.image.dockerfile),
        push=wishes.is_pushed,
    )


def _slim(stage: local.Staged) -> str:
    """The official image of the Python for which the dependencies were pinned."""
    asked = run([stage.environment.python, "-c", PYTHON_VERSION], cwd=stage.folder, environment={})
    return f"python:{asked.stdout.strip()}-slim"


def _dockerfile(folder: Path, name: str | None) -> Path | None:
    if name is None:
        return None
    if not (folder / name).is_file():
        raise InvalidValue(
            f"The commit has no file {name}.",
            why="`dockerfile` in [tool.conduit.image] names it, relative to the folder of pyproject.toml.",
            now="Commit it, or correct the name.",
        )
    return folder / name
