"""`requirements/` is in step with `pyproject.toml`."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FILES = {name: (ROOT / "requirements" / f"{name}.txt").read_text() for name in ("dev", "toolkit")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def direct_requirements() -> Iterator[tuple[str, str]]:
    """What each file has to pin."""
    groups = PROJECT["dependency-groups"]
    used = [*PROJECT["project"]["dependencies"], *groups["build"]]
    developing = [wanted for wanted in groups["dev"] if isinstance(wanted, str)]
    yield from (("toolkit", wanted) for wanted in used)
    serving = PROJECT["project"]["optional-dependencies"]["dev-server"]
    yield from (("dev", wanted) for wanted in (*used, *serving, *developing))


def pins(file: str) -> dict[str, set[str]]:
    """The pinned versions by name; one for each Python where they differ."""
    found: dict[str, set[str]] = {}
    for line in re.findall(r"^[a-z0-9][^\\]*", FILES[file], re.MULTILINE):
        pin = Requirement(line)
        found.setdefault(canonicalize_name(pin.name), set()).add(exact(pin.specifier))
    return found


def exact(specifier: SpecifierSet) -> str:
    (one,) = specifier
    assert one.operator == "=="
    return one.version


@pytest.mark.parametrize(("file", "text"), [*direct_requirements()])
def test_a_direct_dependency_is_pinned_to_a_version_that_it_allows(file: str, text: str) -> None:
    wanted = Requirement(text)
    versions = pins(file).get(canonicalize_name(wanted.name), set())
    assert versions, f"make requirements/{file}.txt anew, see CONTRIBUTING.md"
    assert all(version in wanted.specifier for version in versions)


def test_a_job_installs_what_was_tested() -> None:
    tested = pins("dev")
    assert {name: versions for name, versions in pins("toolkit").items() if versions != tested[name]} == {}


@pytest.mark.parametrize("file", FILES)
def test_every_pin_has_a_hash(file: str) -> None:
    blocks = re.split(r"^(?=[a-z0-9])", FILES[file], flags=re.MULTILINE)
    assert [block.splitlines()[0] for block in blocks if block and "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("file", FILES)
def test_no_registry_is_named(file: str) -> None:
    assert "://" not in FILES[file]
    assert "index-url" not in FILES[file]
