"""Why a release did not go on: from what is known of its workers to the error that explains it. Pure."""

from pipeline import errors
from pipeline.deployments import Deployment
from pipeline.models import Build
from pipeline.rollout.messages import Route
from pipeline.runtimes import LocalWorker
from pipeline.worker.phases import MARK, last_phase

DOING: dict[str, str] = {"setup": "in its `setup` hook", "polling": "taking calls"}
"""What a worker does in a phase, where the phase's name does not say it."""
REMEDIES = {
    errors.SetupFailed: "Mend the `setup` hook; `python -c` with its module shows the same.",
    errors.ImportFailed: "Import the activity modules in the repo's own environment and mend what fails.",
    errors.TemporalUnreachable: "Check that the workers' machine reaches the address in TEMPORAL_ADDRESS.",
}


def death(worker: LocalWorker, log: str) -> errors.ConduitError:
    """Explain a worker that ended by itself, by the last phase that its log tells of."""
    phase = last_phase(log)
    because = f" ({worker.ended_because})" if worker.ended_because else ""
    if phase is not None and phase.phase == "failed" and phase.error in errors.all_errors():
        kind = errors.all_errors()[phase.error]
        return kind(
            f"A worker of build {worker.build_id} could not start{because}.",
            why=phase.why,
            now=REMEDIES.get(kind, "Mend the algorithm and push again."),
            log=for_people(log),
        )
    during = f" while it was {DOING.get(phase.phase, phase.phase)}" if phase else ""
    log = for_people(log)
    return errors.WorkerDied(
        f"A worker of build {worker.build_id} died{during}{because}.",
        why="It ended without saying why; the end of its log is below." if log else "Its log is empty.",
        now="Mend what ends it and push again.",
        log=log,
    )


def for_people(log: str) -> str:
    """A worker's log without the lines in which its host tells its phases: the error's own words have these."""
    lines = [line.partition(MARK) for line in log.splitlines()]
    return "\n".join(own for own, mark, _ in lines if own.strip() or not mark)


def restarting(build_id: str, starts: int, log: str) -> errors.WorkerDied:
    """Explain workers that are started again and again."""
    log = for_people(log)
    return errors.WorkerDied(
        f"The workers of build {build_id} crash again and again: {starts} were started.",
        why="The end of the log is below." if log else "Their log is empty.",
        now="Mend what ends them and push again.",
        log=log,
    )


def silent(build_id: str, seconds: float, log: str) -> errors.WorkerDied:
    """Explain a worker whose heartbeats stopped while its process may still be there."""
    return errors.WorkerDied(
        f"A worker of build {build_id} was not heard for {seconds:.0f} seconds.",
        why="It is stuck, was killed where its runtime does not see it, or cannot reach Temporal.",
        now="Look for code that blocks the worker's event loop, or for what killed it, and push again.",
        log=for_people(log),
    )


def never_registered(
    build: Build, log: str, seen: Deployment | None, seconds: float, *, heard: bool
) -> errors.ConduitError:
    """Explain workers that live and that Temporal does not list.

    Args:
        heard: whether they heartbeat: then they poll, and it is the server that does not take the version.
    """
    phase, log = last_phase(log), for_people(log)
    doing = phase.phase if phase else "starting"
    if doing == "setup":
        return errors.SetupHung(
            f"The `setup` hook {build.host.setup} did not end in {seconds:.0f} seconds.",
            why="Its workers take no calls before it has.",
            now="Mend the hook, or raise `start-timeout` in [tool.conduit].",
            log=log,
        )
    if doing in ("starting", "importing"):
        return errors.ImportFailed(
            f"The activity modules did not finish importing in {seconds:.0f} seconds.",
            now="Move long work into the `setup` hook, or raise `start-timeout` in [tool.conduit].",
            log=log,
        )
    if heard and not (seen and seen.version(build.build_id)):
        return _no_room(build, seen, log)
    return errors.NotRegistered(
        f"Temporal did not list build {build.build_id} within {seconds:.0f} seconds.",
        why=f"Its workers are {DOING.get(doing, doing)}.",
        now="Check that workers and this command use the same TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE.",
        log=log,
    )


def _no_room(build: Build, seen: Deployment | None, log: str) -> errors.VersionLimit:
    if seen is None:
        return errors.VersionLimit(
            f"Temporal hears the workers of {build.algorithm} and does not list it.",
            why="A server takes 100 algorithms in a namespace unless configured otherwise, and tells nobody.",
            now="Delete a Worker Deployment that nobody needs, or deliver to another namespace.",
            log=log,
        )
    return errors.VersionLimit(
        f"Temporal hears the workers of build {build.build_id} and does not list it, "
        f"beside {len(seen.versions)} versions of {build.algorithm}.",
        why="A server takes 100 unless configured otherwise. It makes room for one more by itself, but not by a "
        "version that drains or whose workers it saw in the last five minutes.",
        now="Stop workers of old builds on other machines, wait five minutes, and run "
        f"`conduit retire {build.algorithm}`; `records` in [tool.conduit.release] says how many are kept.",
        log=log,
    )


def routing_changed(request: Route, seen: Deployment | None) -> errors.RoutingChanged:
    """Say that Current is not what the release began with."""
    now = seen.current if seen else None
    return errors.RoutingChanged(
        f"The routing of {request.algorithm} was changed by somebody else meanwhile.",
        why=f"{now or 'No build'} is Current, where {request.expected[0] or 'none'} was when this began.",
        now=f"Look at `conduit status {request.algorithm}` and run the command again.",
    )


def routed_elsewhere(build_id: str, seen: Deployment) -> errors.Superseded:
    """Say that somebody took a build's calls away while it was judged, at Temporal and past the conduit."""
    return errors.Superseded(
        f"The calls of build {build_id} were routed elsewhere by hand while it was judged.",
        why=f"{seen.current or 'No build'} is Current, {seen.ramping or 'none'} is Ramping.",
        now="Deliver it again when it may go live.",
    )
