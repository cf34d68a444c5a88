"""What a person or a CI job asks of an image's build, apart from the configuration. It loads no SDK."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from pipeline.models import Repository, Value
from pipeline.options.image import Base, Platform

SecretId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")]
NOWHERE = "localhost/conduit"
"""Where the tag of an image that is not pushed points."""
Registry = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[A-Za-z0-9._-]+)*$", max_length=300
    ),
]


class ImageWishes(Value):
    """How an image is made, beyond what the repo's configuration says; what is given here wins."""

    registry: Registry | None = None
    """Host and namespace: the image is `<registry>/<algorithm>`."""
    repository: Repository | None = None
    """Host and whole name, in place of the registry."""
    push: bool = True
    base: Base | None = None
    platform: Platform | None = None
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    ca: Path | None = None
    secrets: Mapping[SecretId, Path] = {}

    @property
    def is_pushed(self) -> bool:
        """Whether there is a registry to push to, and it is wanted."""
        return self.push and (self.repository or self.registry) is not None

    def place(self, algorithm: str) -> str:
        """The repository of an algorithm's images."""
        # An owner on GitHub may have capitals, an image may not.
        return self.repository or f"{(self.registry or NOWHERE).lower()}/{algorithm}"
