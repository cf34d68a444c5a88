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
    old = [environment for environment in paths.environments(home).glob("*/") if _is_old(environment)]
    if not old:
        return
    # Read as text: a record that another toolkit wrote counts too.
    records = [record.read_text(errors="replace") for record in (home / "builds").glob(f"*/*/{RECORD}")]
    for environment in old:
        with paths.locked(environment.with_suffix(".lock")):
            if _is_old(environment) and not any(environment.name in record for record in records):
                (environment / "ready").unlink(missing_ok=True)  # what is left of it is no environment
                yield environment


def _is_old(environment: Path) -> bool:
    """Whether it was not used for long; one that never got ready was used when it was begun."""
    ready = environment / "ready"
    with contextlib.suppress(FileNotFoundError):  # somebody else removes it
        return time.time() - (ready if ready.exists() else environment).stat().st_mtime > UNUSED
    return False
