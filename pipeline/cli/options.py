"""The options that several commands have, and the models that some of them make together.

A command that takes many options in one model says so with `takes`: the parameters of the function that makes the
model become options of the command.
"""

import inspect
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from pipeline.build.wishes import ImageWishes

Made = TypeVar("Made")
Model = TypeVar("Model")
Runtime = Literal["process", "docker"]
LONGEST_REASON = 1000


def _algorithm(name: str | None) -> str | None:
    """See that a name can be an algorithm's, before it becomes a part of anything.

    Raises:
        InvalidAlgorithmName: it cannot.
    """
    from pipeline.models import algorithm_of

    return None if name is None else algorithm_of(name)


def _reason(text: str) -> str:
    """A reason as the history keeps it: whatever was pasted, it stops nothing."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"


AlgorithmArgument = Annotated[
    str, typer.Argument(help="The algorithm's name.", metavar="ALGORITHM", callback=_algorithm)
]
AlgorithmOrProjectArgument = Annotated[
    str | None,
    typer.Argument(
        help="The algorithm's name; --project has it already.", metavar="ALGORITHM", callback=_algorithm
    ),
]
AlgorithmOrAllArgument = Annotated[
    str | None, typer.Argument(help="The algorithm's name; all of them without.", callback=_algorithm)
]
ProjectOption = Annotated[
    Path, typer.Option("--project", help="Folder of the algorithm, inside its git repository.")
]
CommitOption = Annotated[
    str | None,
    typer.Option("--commit", help="Revision to take instead of HEAD; uncommitted changes do not count."),
]
DetachOption = Annotated[
    bool, typer.Option("--detach", help="Leave the release to this machine's `conduit controller`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
ReasonOption = Annotated[
    str,
    typer.Option("--reason", help="Why; kept in the history.", metavar="TEXT", callback=_reason),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", help="File to write the result to, as JSON.", metavar="FILE")
]
RuntimeOption = Annotated[
    Runtime | None,
    typer.Option("--runtime", envvar="CONDUIT_RUNTIME", help="In place of the configuration's."),
]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        envvar="CONDUIT_REGISTRY",
        metavar="HOST/NAMESPACE",
        help="Registry of the images; the algorithm's name is put behind it.",
    ),
]
RepositoryOption = Annotated[
    str | None,
    typer.Option(
        "--repository",
        envvar="CONDUIT_REPOSITORY",
        metavar="HOST/NAME",
        help="Whole name of the image, without a tag, in place of --registry.",
    ),
]
NoPushOption = Annotated[
    bool,
    typer.Option("--no-push", help="Leave the image in the Docker Engine; it can be released there only."),
]
PlatformOption = Annotated[
    str | None,
    typer.Option("--platform", envvar="CONDUIT_PLATFORM", help="Of the image, such as linux/arm64."),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base", envvar="CONDUIT_BASE", metavar="IMAGE", help="Image to build upon, best by digest."
    ),
]
CacheFromOption = Annotated[
    list[str] | None,
    typer.Option("--cache-from", envvar="CONDUIT_CACHE_FROM", help="As docker buildx takes it; repeatable."),
]
CacheToOption = Annotated[
    list[str] | None,
    typer.Option("--cache-to", envvar="CONDUIT_CACHE_TO", help="As docker buildx takes it; repeatable."),
]
CaOption = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="CONDUIT_CA",
        exists=True,
        dir_okay=False,
        help="Certificates (PEM) that the image's build trusts where it downloads packages.",
    ),
]
SecretOption = Annotated[
    list[str] | None,
    typer.Option("--secret", metavar="ID=FILE", help="A secret of the image's build; repeatable."),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Also a quarantined build or an older commit; needs --reason.")
]

ApproveOption = Annotated[
    list[str] | None,
    typer.Option(
        "--approve",
        metavar="DIGEST",
        help="A breaking change of the contract that may go live, as its refusal names it; needs --reason.",
    ),
]


def takes(**makers: Callable[..., Any]) -> Callable[[Callable[..., Made]], Callable[..., Made]]:
    """Give a command the options of these functions; it gets what each of them makes, by its name here."""

    def extend(command: Callable[..., Made]) -> Callable[..., Made]:
        @wraps(command)
        def extended(**given: Any) -> Made:
            made = {name: maker(**_own(maker, given)) for name, maker in makers.items()}
            return command(**made, **given)

        shown = [*_parameters(command, makers), *(p for maker in makers.values() for p in _parameters(maker))]
        # --json last, as in every other command.
        shown.sort(key=lambda parameter: parameter.name == "as_json")
        extended.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        extended.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
        return extended

    return extend


def _parameters(function: Callable[..., Any], left_out: Any = ()) -> list[inspect.Parameter]:
    parameters = inspect.signature(function).parameters.values()
    return [p.replace(kind=p.KEYWORD_ONLY) for p in parameters if p.name not in left_out]


def _own(maker: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    return {parameter.name: given.pop(parameter.name) for parameter in _parameters(maker)}


def image_place(registry: RegistryOption = None, repository: RepositoryOption = None) -> "ImageWishes":
    """Where an image is."""
    return _image(registry=registry, repository=repository)


def placeholder_image(
    registry: RegistryOption = None, base: BaseOption = None, ca: CaOption = None
) -> "ImageWishes":
    """How the image of a contract alone is made."""
    return _image(registry=registry, base=base, ca=ca)


def image_build(
    registry: RegistryOption = None,
    repository: RepositoryOption = None,
    no_push: NoPushOption = False,
    platform: PlatformOption = None,
    base: BaseOption = None,
    cache_from: CacheFromOption = None,
    cache_to: CacheToOption = None,
    ca: CaOption = None,
    secret: SecretOption = None,
) -> "ImageWishes":
    """How a commit's image is made."""
    return _image(
        registry=registry,
        repository=repository,
        push=not no_push,
        platform=platform,
        base=base,
        cache_from=cache_from or (),
        cache_to=cache_to or (),
        ca=ca,
        secrets=_secrets(secret or []),
    )


def insistence(
    force: ForceOption = False, approve: ApproveOption = None, reason: ReasonOption = ""
) -> dict[str, Any]:
    """What a release is to do all the same, and why.

    Raises:
        typer.BadParameter: there is no reason, or an approval is not what the conduit prints.
    """
    for option, given in (("--force", force), ("--approve", approve)):
        if given and not reason:
            raise typer.BadParameter(f"{option} needs --reason", param_hint=option)
    for digest in approve or ():
        if not re.fullmatch("[0-9a-f]{12}", digest):
            raise typer.BadParameter("give it as `conduit contract diff` prints it", param_hint="--approve")
    return {"force": force, "approve": tuple(approve or ()), "reason": reason}


def checked(kind: type[Model], **given: Any) -> Model:
    """Make a model of options.

    Raises:
        typer.BadParameter: the model does not take them.
    """
    from pydantic import ValidationError

    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(first["msg"], param_hint=f"--{first['loc'][0]}") from None


def only_one_of(*values: object) -> None:
    """See that at most one of these options is given.

    Raises:
        typer.BadParameter: there are more.
    """
    if sum(value is not None for value in values) > 1:
        raise typer.BadParameter("these options exclude each other")


def _image(**given: Any) -> "ImageWishes":
    from pipeline.build.wishes import ImageWishes

    return checked(ImageWishes, **given)


def _secrets(given: list[str]) -> dict[str, str]:
    pairs = [secret.partition("=") for secret in given]
    if not all(file for _, _, file in pairs):
        raise typer.BadParameter("give it as ID=FILE", param_hint="--secret")
    return {name: file for name, _, file in pairs}
