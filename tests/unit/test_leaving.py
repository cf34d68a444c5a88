"""The end of pytest's own process, on small suites of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ABORTS_AT_THE_END = """
import atexit, os
class Native:
    def __del__(self, abort=os.abort): abort()
KEPT = Native()
atexit.register(print, "exit functions ran")
def test_a(): assert {fact}
"""


@pytest.mark.parametrize(("fact", "code"), [(True, 0), (False, 1)])
def test_what_aborts_the_interpreters_shutdown_does_not_change_the_exit_code(
    tmp_path: Path, fact: bool, code: int
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_some.py").write_text(ABORTS_AT_THE_END.format(fact=fact))
    command = [sys.executable, "-m", "pytest", "-p", "tests.parts.leaving"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    assert "exit functions ran" in ended.stdout
    assert ("1 passed" if fact else "1 failed") in ended.stdout
