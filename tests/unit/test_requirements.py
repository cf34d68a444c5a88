"""`requirements/dev.txt` is in step with `pyproject.toml`."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PINNED = (ROOT / "requirements" / "dev.txt").read_text()


def direct_requirements() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    yield from project["project"]["dependencies"]
    yield from project["project"]["optional-dependencies"]["dev-server"]
    yield from project["dependency-groups"]["dev"]


def pins() -> dict[str, set[str]]:
    """The pinned versions by name; one for each Python where they differ."""
    found: dict[str, set[str]] = {}
    for line in re.findall(r"^[a-z0-9][^\\]*", PINNED, re.MULTILINE):
        pin = Requirement(line)
        found.setdefault(canonicalize_name(pin.name), set()).add(exact(pin.specifier))
    return found


def exact(specifier: SpecifierSet) -> str:
    (one,) = specifier
    assert one.operator == "=="
    return one.version


@pytest.mark.parametrize("wanted", [*map(Requirement, direct_requirements())], ids=str)
def test_a_direct_dependency_is_pinned_to_a_version_that_it_allows(wanted: Requirement) -> None:
    versions = pins().get(canonicalize_name(wanted.name), set())
    assert versions, "make requirements/dev.txt anew, see CONTRIBUTING.md"
    assert all(version in wanted.specifier for version in versions)


def test_every_pin_has_a_hash() -> None:
    blocks = re.split(r"^(?=[a-z0-9])", PINNED, flags=re.MULTILINE)
    assert [block.splitlines()[0] for block in blocks if block and "--hash=sha256:" not in block] == []


def test_no_registry_is_named() -> None:
    assert "://" not in PINNED
    assert "index-url" not in PINNED
