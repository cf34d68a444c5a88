"""The host's folder is copied into builds, where nothing but its two dependencies is installed."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline.worker

FOLDER = Path(pipeline.worker.__path__[0])
ALLOWED = {"temporalio", "pydantic", *sys.stdlib_module_names}


def imported(source: str) -> Iterator[str]:
    """Full names of all modules that are imported, at the top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def is_allowed(module: str) -> bool:
    return module.partition(".")[0] in ALLOWED or f"{module}.".startswith("pipeline.worker.")


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: file.name)
def test_the_host_imports_its_two_dependencies_and_itself_alone(file: Path) -> None:
    assert [module for module in imported(file.read_text()) if not is_allowed(module)] == []


@pytest.mark.parametrize("module", ["pipeline", "pipeline.errors", "numpy", ".errors", "pipeline.workers"])
def test_other_modules_would_be_noticed(module: str) -> None:
    assert not is_allowed(module)
