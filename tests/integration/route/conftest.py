"""One machine for all tests of the route."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where builds are kept; each test has an algorithm of its own, and equal environments are made once."""
    return tmp_path_factory.mktemp("home")
