import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import workflows

ALLOWED = {"temporalio", "pydantic", "workflows"} | sys.stdlib_module_names
MODULES = sorted(Path(workflows.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_the_workflows_import_nothing_of_research_or_of_the_toolkit(module: Path) -> None:
    assert set(imported(ast.parse(module.read_text()))) <= ALLOWED


def imported(tree: ast.Module) -> Iterator[str]:
    """The top-level packages that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
