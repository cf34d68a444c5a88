"""`[tool.conduit.image]`: what a repo asks for its worker image."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from pipeline.options.table import Table

BASE = r"^[A-Za-z0-9][\w./:@-]*$"
PLATFORM = r"^[a-z0-9]+/[a-z0-9]+(/v[0-9]+)?$"


def path_inside(path: str) -> str:
    """Return `path` if it stays inside the folder that it is relative to."""
    parts = path.split("/")
    if "\\" in path or not all(parts) or {".", ".."} & set(parts):
        raise ValueError(f"{path[:80]!r} is not a path inside the repo, such as docker/Dockerfile")
    return path


Base = Annotated[str, StringConstraints(pattern=BASE, max_length=400)]
Platform = Annotated[str, StringConstraints(pattern=PLATFORM)]
PathInside = Annotated[str, AfterValidator(path_inside)]


class ImageOptions(Table):
    """What the image of a commit is made of."""

    base: Base | None = Field(
        default=None,
        description="Image with Python to build upon, best by digest. Default: python:X.Y-slim of the repo's Python.",
    )
    dockerfile: PathInside | None = Field(
        default=None,
        description="A Dockerfile of the repo's own, relative to its pyproject.toml; docs/images.md has the terms.",
    )
    platform: Platform | None = Field(
        default=None, description="Such as linux/arm64. Default: the Docker Engine's own."
    )
