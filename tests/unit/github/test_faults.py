"""The lines at fault, found in what real test runs print."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.github.faults import MOST, annotations

BROKEN = {
    "model.py": "def half(n: int) -> float:\n    return n / 0\n",
    "test_model.py": "from model import half\n\n\ndef test_half() -> None:\n    assert half(2) == 1\n\n\n"
    "def test_one() -> None:\n    assert 1 == 2\n",
}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    for name, text in BROKEN.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-B", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stdout + done.stderr


def found(log: str, root: Path, prefix: str = "") -> list[tuple[str, int, str]]:
    return [(fault.path, fault.line, fault.message) for fault in annotations(log, root, prefix)]


def test_failures_that_pytest_prints(repo: Path) -> None:
    assert found(run(repo, "-m", "pytest", "-p", "no:cacheprovider"), repo) == [
        ("model.py", 2, "ZeroDivisionError"),
        ("test_model.py", 9, "AssertionError"),
    ]


def test_a_test_file_that_does_not_import(repo: Path) -> None:
    (repo / "test_model.py").write_text("import model\n\nx = (\n")
    faults = found(run(repo, "-m", "pytest", "-p", "no:cacheprovider"), repo)
    assert [(path, line) for path, line, _ in faults] == [("test_model.py", 3)]
    assert faults[0][2].startswith("SyntaxError")


def test_a_traceback_of_python(repo: Path) -> None:
    log = run(repo, "-c", "import model; model.half(2)")
    assert found(log, repo, "algorithms/voice") == [
        ("algorithms/voice/model.py", 2, "ZeroDivisionError: division by zero")
    ]


@pytest.mark.parametrize(
    "log",
    [
        "/etc/passwd.py:1: Error",
        "../x.py:1: Error",
        '  File "/usr/lib/python3.11/json/decoder.py", line 7\nValueError: x',
        ".venv/lib/python3.11/site-packages/numpy/x.py:1: Error",
        "model.py:0: Error",
        "model.py:12: in half",
        "ValueError: nothing before it",
    ],
)
def test_what_is_no_fault_of_the_repo(log: str) -> None:
    assert found(log, Path("/repo")) == []


def test_a_fault_is_told_once_and_a_flood_is_cut() -> None:
    assert len(found("a.py:1: Error\n" * 9, Path("/repo"))) == 1
    flood = "\n".join(f"a.py:{n}: Error" for n in range(1, 10_000))
    assert len(found(flood, Path("/repo"))) == MOST


@given(st.text() | st.text(alphabet='a.py:1 \n"File,lineError'))
def test_any_log_is_read(log: str) -> None:
    for fault in annotations(log, Path("/repo")):
        assert not fault.path.startswith(("/", ".."))


@pytest.mark.timeout(20)
def test_a_line_of_nothing_but_space_is_read_in_no_time() -> None:
    assert annotations("E" + " " * 300_000, Path("/nowhere")) == ()
