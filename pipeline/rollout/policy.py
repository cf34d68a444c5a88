"""What a release may do in the state it finds. Pure: values in, a decision or an error out."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from enum import StrEnum

from pipeline import errors
from pipeline.deployments import Deployment, Version
from pipeline.models import Commit, Value, is_placeholder
from pipeline.rollout.messages import Quarantine


class InFlight(Value):
    """A release that is running now."""

    build_id: str
    sha: str
    task_queue: str
    host_is_alive: bool
    run_id: str = ""
    is_roll_back: bool = False


class Begin(StrEnum):
    """How a release begins."""

    FRESH = "fresh"
    TAKE_OVER = "take over"


Ancestry = Callable[[str, str], bool | None]
"""Whether the first commit is an ancestor of the second; None where that is not known."""


def is_overtaken(sha: str, newest: str | None) -> bool:
    """Whether a push is no longer the newest: its branch has another commit by now, which will be released itself.

    Args:
        sha: the commit of the release.
        newest: the commit that its branch has now; None where nobody asked.
    """
    return newest is not None and newest != sha


def refuse_older(commit: Commit, live: str, is_ancestor: Ancestry, *, force: bool) -> None:
    """Refuse a commit that the live one was built upon.

    Raises:
        OlderCommit: it is older.
    """
    if commit.sha != live and is_ancestor(commit.sha, live) and not force:
        raise errors.OlderCommit(
            f"Commit {commit.short} is older than {live[:12]}, which is live.",
            why="A release goes forward; going back is a roll-back.",
            now="Use `conduit rollback`, or --force with --reason.",
        )


def refuse_quarantined(
    build_id: str, quarantine: Quarantine | None, *, force: bool, approvals: Collection[str] = ()
) -> None:
    """Refuse a build that was found bad, unless what it was stopped for is approved by now.

    Raises:
        Quarantined: it was.
    """
    if quarantine is None or force or quarantine.unless in approvals:
        return
    approve = f"approve its change with --approve {quarantine.unless}" if quarantine.unless else "use --force"
    raise errors.Quarantined(
        f"Build {build_id} is quarantined.",
        why=f"{quarantine.by} on {quarantine.at:%Y-%m-%d %H:%M} UTC: {quarantine.reason or 'no reason given'}",
        now=f"Commit a better one, or {approve} and --reason.",
    )


def begin(algorithm: str, commit: Commit, other: InFlight | None, is_ancestor: Ancestry) -> Begin:
    """Decide what becomes of a release that is running already.

    Raises:
        ReleaseInFlight: it goes on, and this one does not begin.
        OlderCommit: it goes on, being of a newer commit.
    """
    if other is None:
        return Begin.FRESH
    if not other.host_is_alive:
        return Begin.TAKE_OVER  # all that it did is in Temporal; its host was killed
    if other.is_roll_back:  # to an older commit by its nature, which no newer one may prevent
        raise errors.ReleaseInFlight(
            f"A roll-back of {algorithm} is running: to build {other.build_id}.",
            why="It decides where calls go, and takes seconds.",
            now=f"Look at `conduit status {algorithm}`, then run the command again.",
        )
    if other.sha != commit.sha and is_ancestor(other.sha, commit.sha):
        return Begin.TAKE_OVER
    if other.sha != commit.sha and is_ancestor(commit.sha, other.sha):
        raise errors.OlderCommit(
            f"A release of the newer commit {other.sha[:12]} is running.",
            now="Nothing: the newer commit goes live.",
        )
    raise errors.ReleaseInFlight(
        f"A release of {algorithm} is running: build {other.build_id}.",
        why="There is one at a time for each algorithm.",
        now=f"Wait for it, look at `conduit status {algorithm}`, or stop it with `conduit abort {algorithm}`.",
    )


def promised(seen: Deployment) -> str | None:
    """The build whose contract callers rely on: the Current one, else the placeholder that holds their calls."""
    held = [version for version in seen.versions if version.created and is_placeholder(version.build_id)]
    newest = max(held, key=lambda v: v.created or datetime.min.replace(tzinfo=UTC), default=None)
    return seen.current or (newest.build_id if newest else None)


def roll_back_target(
    seen: Deployment,
    wanted: str | None,
    is_quarantined: Callable[[str], bool],
    candidate: str | None = None,
) -> tuple[str, str]:
    """Choose the build to return to: the wanted one, else the last that was Current and is not quarantined.

    Where a release is on its way to its promotion, its candidate is what is taken back: Current stays.

    Args:
        seen: the deployment.
        wanted: the build that a person named.
        is_quarantined: whether a build was found bad.
        candidate: the build of the release that is running.

    Returns:
        its ID, and that of the build which is found bad.

    Raises:
        NothingToRollBackTo: there is none.
        UnknownBuild: there is no build of the wanted ID.
    """
    if seen.current is None:
        raise errors.NothingToRollBackTo(
            f"{seen.name} has no Current build.",
            why="Nothing was promoted yet.",
            now="Deliver a commit first.",
        )
    if wanted is not None:
        return _wanted(seen, wanted).build_id, seen.current
    if candidate not in (None, seen.current) and seen.version(candidate):
        return seen.current, candidate or ""
    for build_id in earlier(seen):
        if not is_quarantined(build_id):
            return build_id, seen.current
    raise errors.NothingToRollBackTo(
        f"{seen.name} has no earlier build to roll back to.",
        why="No other build was Current before, or all that were are quarantined or placeholders.",
        now="Deliver a good commit, or name a build with --to.",
    )


def earlier(seen: Deployment) -> list[str]:
    """The builds that were Current before, no placeholders, the latest first."""
    versions = (v for v in seen.versions if v.was_current and v.build_id != seen.current)
    latest = sorted(versions, key=_left, reverse=True)
    return [version.build_id for version in latest if not is_placeholder(version.build_id)]


def batch_targets(batch: Deployment, own: Deployment, leaving: str) -> list[str]:
    """The builds that batch calls may go back to, the best first.

    A build that is Current for them and was never promoted was left behind by a release that was cut off: it
    comes last.

    Args:
        batch: the deployment that routes batch calls.
        own: the algorithm's own.
        leaving: the build that they leave.
    """

    def promoted(build_id: str) -> bool:
        version = own.version(build_id)
        return version is not None and version.was_current

    served = [v for v in batch.versions if v.was_current and v.build_id != leaving]
    latest = sorted(served, key=lambda v: (v.build_id == batch.current, _left(v)), reverse=True)
    ids = [version.build_id for version in latest if not is_placeholder(version.build_id)]
    good = [build_id for build_id in ids if promoted(build_id)]
    return good + [build_id for build_id in ids if build_id == batch.current and build_id not in good]


def _wanted(seen: Deployment, wanted: str) -> Version:
    matches = [version for version in seen.versions if version.build_id.startswith(wanted)]
    if len(matches) != 1:
        known = ", ".join(version.build_id for version in seen.versions) or "none"
        raise errors.UnknownBuild(
            f"{seen.name} has {'no' if not matches else 'more than one'} build {wanted[:80]!r}.",
            why=f"Its builds: {known}.",
            now=f"Choose one of `conduit status {seen.name}`.",
        )
    if matches[0].build_id == seen.current:
        raise errors.NothingToRollBackTo(
            f"Build {seen.current} is Current already.", now="Nothing, or name another build with --to."
        )
    return matches[0]


def _left(version: Version) -> datetime:
    """When a build stopped to be Current."""
    return version.deactivated or version.last_current or version.created or datetime.min.replace(tzinfo=UTC)
