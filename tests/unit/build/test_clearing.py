"""What is kept of builds that run no more."""

import os
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import clearing
from pipeline.build.local import RECORD

DAY = 86400.0
BUILDS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.floats(0, 1e9), max_size=30)


@given(used=BUILDS, at_work=st.sets(st.sampled_from("abcdef")), keep=st.integers(0, 10))
def test_the_latest_and_those_at_work_are_kept(used: dict[str, float], at_work: set[str], keep: int) -> None:
    past = set(clearing.past(used, at_work, keep))
    idle = used.keys() - at_work
    kept = idle - past
    assert past <= idle
    assert len(kept) == min(keep, len(idle))
    assert all(used[new] >= used[old] for new in kept for old in past)


def made(home: Path, build_id: str, environment: str, *, days: float) -> Path:
    """A build that was used so many days ago, and its environment."""
    build, venv = home / "builds" / "measure" / build_id, home / "environments" / environment
    for folder, file in ((build, RECORD), (venv, "ready")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(f'{{"python": "{venv}/venv/bin/python"}}')
        os.utime(folder / file, 2 * (time.time() - days * DAY,))
    return build


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir() if one.is_dir()}


def test_a_disk_does_not_fill_up(tmp_path: Path) -> None:
    for number in range(clearing.KEPT + 5):
        made(tmp_path, f"b{number}", f"e{number}", days=30 + number)
    made(tmp_path, "fresh", "shared", days=0)
    made(tmp_path, "fresh", "for-tests", days=6)
    clearing.clear(tmp_path, "measure", at_work={"b24"})
    kept = {f"b{number}" for number in range(clearing.KEPT - 1)}
    assert names(tmp_path / "builds" / "measure") == {*kept, "fresh", "b24"}
    assert names(tmp_path / "environments") == {
        *(name.replace("b", "e") for name in kept),
        "e24",
        "shared",
        "for-tests",
    }


def test_an_environment_that_never_got_ready_goes_when_it_is_old(tmp_path: Path) -> None:
    for name, days in (("begun", 0.0), ("killed", 8.0)):
        made(tmp_path, f"b-{name}", name, days=days)
        (tmp_path / "builds" / "measure" / f"b-{name}" / RECORD).unlink()
        (tmp_path / "environments" / name / "ready").unlink()
        os.utime(tmp_path / "environments" / name, 2 * (time.time() - days * DAY,))
    clearing.clear(tmp_path, "measure", at_work=())
    assert names(tmp_path / "environments") == {"begun"}


def test_an_environment_that_a_build_needs_stays_however_old(tmp_path: Path) -> None:
    made(tmp_path, "b1", "old", days=400)
    clearing.clear(tmp_path, "measure", at_work=())
    clearing.clear(tmp_path, "another", at_work=())
    assert names(tmp_path / "environments") == {"old"}


def test_a_build_that_is_used_again_meanwhile_stays(tmp_path: Path) -> None:
    build = made(tmp_path, "b1", "e1", days=1)
    clearing._remove(build, used=time.time() - 2 * DAY)
    assert names(build.parent) == {"b1"}
