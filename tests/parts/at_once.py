"""Which tests may run beside each other where pytest has several processes (`-n 3`): those of different files."""

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# Each process has a Temporal server of its own, but all have one Docker Engine, where these tests' algorithms have
# one name.
ENGINE = ("tests/actions/", "tests/integration/docker/")


class FilesAtOnce(LoadScopeScheduling):  # type: ignore[misc]
    """Files are dealt out in their order, and what shares the engine as if it were one file."""

    def _split_scope(self, nodeid: str) -> str:
        return "engine" if nodeid.startswith(ENGINE) else nodeid.partition("::")[0]


def pytest_configure(config: pytest.Config) -> None:
    # By their number of tests, thousands of quick ones would go first and the slow files last.
    config.option.loadscopereorder = False


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesAtOnce:
    return FilesAtOnce(config, log)
