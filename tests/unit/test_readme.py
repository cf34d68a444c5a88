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
    "examples/README.md",
    *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))),
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


def test_every_page_of_the_documentation_can_be_reached_from_its_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {page.name for page in (ROOT / "docs").iterdir()} - {"index.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()
