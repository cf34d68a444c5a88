"""The end of pytest's own process, past the interpreter's shutdown: `workflows/worker.py` tells why."""

import atexit
import os
import sys

import pytest

_session = pytest.StashKey[pytest.Session]()


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[_session] = session


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    session = config.stash.get(_session, None)
    if session is None or session.exitstatus == pytest.ExitCode.USAGE_ERROR:
        return  # pytest has something to say yet
    atexit._run_exitfuncs()
    config.get_terminal_writer().flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(session.exitstatus)
