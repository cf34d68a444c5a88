"""What a machine keeps of builds that run no more: the latest ones, so that its disk does not fill up."""

import contextlib
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pipeline import paths
from pipeline.build.local import RECORD, STAGING

KEPT = 20
"""Builds of an algorithm without a worker that are kept, to be started again without being built."""
UNUSED = 7 * 86400.0
"""Seconds without use after which an environment that no build needs is removed: tests have their own."""


def clear(home: Path, algorithm: str, at_work: Collection[str]) -> None:
    """Remove an algorithm's builds past the latest, and the environments that are left of no build.

    Args:
        home: the conduit's own folder.
        algorithm: whose builds.
        at_work: those with a live worker, which are left alone.
    """
    folder = paths.builds(home, algorithm)
    used = {record.parent.name: record.stat().st_mtime for record in folder.glob(f"*/{RECORD}")}
    for build_id in past(used, at_work, KEPT):
        _remove(folder / build_id, used[build_id])
    for environment in _unneeded(home):
        shutil.rmtree(environment, ignore_errors=True)


def past(used: Mapping[str, float], at_work: Collection[str], keep: int) -> tuple[str, ...]:
    """The builds that are not kept, by when each was used last."""
    idle = sorted(used.keys() - at_work, key=lambda build_id: (-used[build_id], build_id))
    return tuple(idle[keep:])


def _remove(build: Path, used: float) -> None:
    with contextlib.suppress(FileNotFoundError), paths.locked(build / "workers" / "lock"):
        if (build / RECORD).stat().st_mtime > used:
            return  # somebody starts it again
        # Without its name it is no build, however far the rest gets.
        left = build.rename(build.with_name(f"{STAGING}{build.name}"))
        shutil.rmtree(left, ignore_errors=True)


def _unneeded(home: Path) -> Iterator[Path]:
    old = [ready for ready in paths.environments(home).glob("*/ready") if _is_old(ready)]
    if not old:
        return
    # Read as text: a record that another toolkit wrote counts too.
    records = [record.read_text(errors="replace") for record in (home / "builds").glob(f"*/*/{RECORD}")]
    for ready in old:
        with paths.locked(ready.parent.with_suffix(".lock")):
            if _is_old(ready) and not any(ready.parent.name in record for record in records):
                ready.unlink()  # what is left of it is no environment
                yield ready.parent


def _is_old(ready: Path) -> bool:
    return ready.exists() and time.time() - ready.stat().st_mtime > UNUSED
