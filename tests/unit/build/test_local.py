"""What a killed command leaves in the folder of builds is gone after the next one."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

from pipeline.build import local
from pipeline.errors import DestinationNotWritable
from pipeline.project import at_commit
from tests.parts.repos import FILES, make_repo

LONG_AGO = 1_000_000_000


def staging(folder: Path, name: str, *, since: float | None = LONG_AGO) -> Path:
    made = folder / f"{local.STAGING}{name}"
    (made / "source").mkdir(parents=True)
    if since is not None:
        os.utime(made, (since, since))
    return made


def test_what_broke_off_is_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    left = staging(tmp_path, "left")
    used = staging(tmp_path, "used")
    new = staging(tmp_path, "new", since=None)
    build = tmp_path / "aaaaaaaaaaaa-bbbbbb"
    build.mkdir()
    with local._in_use(used):
        local._clear_what_broke_off(tmp_path)
    assert not left.exists()
    assert all(folder.exists() for folder in (used, new, build))
    local._clear_what_broke_off(tmp_path)
    assert not used.exists()


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_repo(tmp_path / "repo", FILES)
    full = tmp_path / "full"
    full.mkdir()
    (full / "tar").symlink_to("/dev/full")
    monkeypatch.setattr(tempfile, "TemporaryDirectory", lambda **_: contextlib.nullcontext(str(full)))
    project = at_commit(tmp_path / "repo", None)
    with (
        pytest.raises(DestinationNotWritable, match="full") as told,
        local.staged(project, tmp_path / "home", os.environ),
    ):
        pass
    assert str(tmp_path / "home") in told.value.now
