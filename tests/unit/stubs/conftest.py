"""Stubs that were generated, and imported as an engineer's repo would."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.stubs import generate
from pipeline.worker.contract import Contract
from tests.parts import research

Importer = Callable[[str], ModuleType]


@pytest.fixture
def imported(tmp_path: Path) -> Iterator[Importer]:
    """Import a module from its text."""
    names: list[str] = []

    def importer(text: str) -> ModuleType:
        name = f"generated_stubs_{len(names)}"
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        names.append(name)
        spec.loader.exec_module(module)
        return module

    yield importer
    for name in names:
        del sys.modules[name]


@pytest.fixture(scope="session")
def research_contract() -> Contract:
    return research.contract()


@pytest.fixture(scope="session")
def research_stubs(research_contract: Contract) -> str:
    """The text of the stubs of `tests.parts.research`."""
    return generate("speaker-id", research_contract)
