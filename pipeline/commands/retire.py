"""`conduit retire`: stops and deletes builds that are past retention."""

from pipeline.commands.session import About, Session, about, deployment
from pipeline.deployments import Deployments
from pipeline.models import Value
from pipeline.options.release import ReleaseOptions
from pipeline.rollout import host
from pipeline.rollout.messages import Retired, RetireRequest
from pipeline.rollout.retire import Retirer


class RetireResult(Value):
    """What was retired."""

    algorithm: str
    retired: Retired

    def lines(self) -> list[str]:
        """The closing lines for people."""
        told = self.retired
        parts = [
            (told.stopped, "stopped the workers of"),
            (told.deleted, "deleted"),
            (told.busy, "still at work, left for later:"),
            (told.later, "draining, or polled for in the last five minutes, left for later:"),
        ]
        lines = [f"  {what} {', '.join(builds)}" for builds, what in parts if builds]
        return [f"{self.algorithm}: {'retired' if lines else 'nothing to retire'}.", *lines]


async def retire(session: Session, algorithm: str, keep: int | None) -> RetireResult:
    """Retire what is idle and past retention on this machine.

    Raises:
        UnknownAlgorithm: Temporal has no such deployment.
    """
    client = await session.connect()
    deployments = Deployments(client)
    seen = await deployment(deployments, algorithm)
    live = await about(deployments, algorithm, seen.current) if seen.current else About()
    options = live.registered.build.release if live.registered else ReleaseOptions()
    release = await host.running(client, algorithm)
    candidate = (str((await release.memo()).get("build_id", "")),) if release else ()
    request = RetireRequest(
        algorithm=algorithm,
        keep=options.keep if keep is None else keep,
        records=options.records,
        spare=tuple(filter(None, candidate)),
    )
    retired = await Retirer(client, deployments, session.every_runtime()).retire(request)
    return RetireResult(algorithm=algorithm, retired=retired)
