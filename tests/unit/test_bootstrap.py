"""What `bootstrap.py` decides before it installs anything."""

import importlib.util
import sys
from pathlib import Path

import pytest

import bootstrap


@pytest.mark.parametrize("arguments", [[], ["deploy"]])
def test_a_wrong_command_line_shows_the_right_ones(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        bootstrap.main(arguments)
    assert refused.value.code == 2
    assert "bootstrap.py demo" in capsys.readouterr().err


def test_an_old_python_is_refused_with_the_version_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(SystemExit, match=r"This is Python 3\.10; the project needs 3\.11"):
        bootstrap.main(["test"])


def test_a_python_that_makes_no_environments_is_refused_with_the_package_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    with pytest.raises(SystemExit, match="python3-venv"):
        bootstrap.make_environment()
    assert not (tmp_path / ".venv").exists()


def test_the_pin_of_one_package_is_its_version_with_its_hashes_alone() -> None:
    first, *hashes = bootstrap.pinned("uv").splitlines()
    assert first.startswith("uv==")
    assert hashes
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)


def test_a_change_of_the_requirements_asks_for_a_new_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = bootstrap.fingerprint()
    changed = tmp_path / "dev.txt"
    changed.write_text("uv==1\n")
    monkeypatch.setattr(bootstrap, "REQUIREMENTS", changed)
    assert bootstrap.fingerprint() != before


def test_a_checkout_that_was_moved_asks_for_a_new_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = bootstrap.fingerprint()
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    assert bootstrap.fingerprint() != before


def test_the_environment_comes_first_on_the_path_and_no_other_python_leaks_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    variables = bootstrap.environment()
    assert variables["PATH"].startswith(f"{bootstrap.BIN}:")
    assert "PYTHONPATH" not in variables
