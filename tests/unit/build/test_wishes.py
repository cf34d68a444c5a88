"""Where an image goes, by what was asked for."""

import pytest
from pydantic import ValidationError

from pipeline.build.wishes import ImageWishes


@pytest.mark.parametrize(
    ("wishes", "place", "is_pushed"),
    [
        ({}, "localhost/conduit/speaker-id", False),
        ({"registry": "ghcr.io/acme"}, "ghcr.io/acme/speaker-id", True),
        ({"registry": "ghcr.io/Acme"}, "ghcr.io/acme/speaker-id", True),
        ({"registry": "127.0.0.1:5000"}, "127.0.0.1:5000/speaker-id", True),
        ({"registry": "ghcr.io/acme", "push": False}, "ghcr.io/acme/speaker-id", False),
        ({"repository": "ghcr.io/acme/voices"}, "ghcr.io/acme/voices", True),
        ({"registry": "ghcr.io/acme", "repository": "quay.io/x/y"}, "quay.io/x/y", True),
    ],
)
def test_an_image_is_named_after_its_algorithm_unless_it_is_told_otherwise(
    wishes: dict[str, object], place: str, *, is_pushed: bool
) -> None:
    asked = ImageWishes.model_validate(wishes)
    assert (asked.place("speaker-id"), asked.is_pushed) == (place, is_pushed)


@pytest.mark.parametrize(
    "wishes",
    [
        {"registry": "ghcr.io/acme:latest"},
        {"registry": "ghcr.io/acme speakers"},
        {"registry": "--push"},
        {"repository": "ghcr.io"},
        {"repository": "ghcr.io/acme/voices:latest"},
        {"repository": "ghcr.io/acme/voices@sha256:00"},
        {"base": "python:3.11 --network=host"},
        {"platform": "linux/amd64,linux/arm64"},
        {"secrets": {"a,src=/etc/shadow": "x"}},
    ],
)
def test_what_docker_would_read_otherwise_is_refused(wishes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ImageWishes.model_validate(wishes)
