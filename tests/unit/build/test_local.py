"""What a killed command leaves in the folder of builds is gone after the next one."""

import os
from pathlib import Path

from pipeline.build import local

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
