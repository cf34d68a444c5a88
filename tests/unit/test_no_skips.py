"""`pytest --no-skips`, run on small suites of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SKIPS_ONE = "import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no engine')\n"
SKIPS_ALL = "import pytest\npytest.skip('no engine', allow_module_level=True)\n"
SKIPS_NONE = "import pytest\ndef test_a(): pass\n@pytest.mark.xfail\ndef test_b(): assert False\n"


def run(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_some.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "tests.parts.no_skips", *options]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_a_skip_fails_the_run_and_is_named(tmp_path: Path) -> None:
    ended = run(tmp_path, SKIPS_ONE, "--no-skips")
    assert ended.returncode == 1
    assert "test_some.py::test_b" in ended.stdout


def test_a_skipped_module_fails_the_run(tmp_path: Path) -> None:
    ended = run(tmp_path, SKIPS_ALL, "--no-skips")
    assert ended.returncode == 1
    assert "test_some.py" in ended.stdout


def test_without_the_option_a_skip_is_none_of_its_business(tmp_path: Path) -> None:
    assert run(tmp_path, SKIPS_ONE).returncode == 0


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    assert run(tmp_path, SKIPS_NONE, "--no-skips").returncode == 0
