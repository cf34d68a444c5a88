"""The README's commands are the ones there are, and its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from pipeline.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| .* \| `conduit (.*)` \|$", README, re.MULTILINE)
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/index.md",
    "docs/github.md",
    "docs/long-running.md",
    "docs/batch.md",
]


def cli() -> TyperGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def test_the_table_names_every_command_and_no_other() -> None:
    assert {name for name, _ in ROWS} == set(cli().commands)


@pytest.mark.parametrize(("name", "example"), ROWS)
def test_an_example_is_a_command_line_that_is_taken(name: str, example: str) -> None:
    first, *rest = shlex.split(example)
    assert first == name
    cli().commands[name].make_context(name, rest)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_to_one(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / page).read_text())
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
