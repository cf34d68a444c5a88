"""`conduit backfill`: make the calls again that an older build answered, and say beforehand how many that is."""

from pathlib import Path

from temporalio.client import Client

from pipeline.backfill import files, host
from pipeline.backfill.histories import answered
from pipeline.backfill.messages import Backfill, Header, Progress
from pipeline.commands.session import Session, deployment
from pipeline.deployments import Deployment, Deployments, Version
from pipeline.errors import NoLiveWorker, OutputUnusable, UnknownBuild
from pipeline.models import Value
from pipeline.worker.settings import batch_of

KEPT_FREE = 5
"""One slot of so many is left to production's calls."""


class BackfillWishes(Value):
    """What the person asks for."""

    build: str
    output: Path
    batch: int = 20
    priority: int = 5
    most: int = 10_000
    yes: bool = False


class Backfilled(Value):
    """What was found, and what became of it."""

    algorithm: str
    build_id: str
    current: str
    calls: int
    done: int
    outcomes: dict[str, int]
    output: Path

    def lines(self) -> list[str]:
        """The closing lines for people."""
        found = (
            f"{self.algorithm}: build {self.build_id} answered {self.calls} calls that histories still hold."
        )
        if not self.outcomes and self.calls:
            return [found, f"  to make them again on {self.current}: the same command with --yes"]
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        return [found, *([f"  made again: {told}", f"  answers: {self.output}"] if told else [])]


async def backfill(session: Session, algorithm: str, wishes: BackfillWishes) -> Backfilled:
    """Count the calls that a build answered; with `yes`, make them again on the live builds.

    Raises:
        UnknownAlgorithm, UnknownBuild: there is none of that name.
        OutputUnusable: the output belongs to another backfill.
        NoLiveWorker: no build is Current.
        BackfillFailed: it was ended by somebody.
        BackfillUnderWay: another one is.
    """
    client = await session.connect()
    seen = await deployment(Deployments(client), algorithm)
    if seen.current is None:
        raise NoLiveWorker(f"{seen.name} has no Current build.", now="Deliver a commit first.")
    header = Header(algorithm=seen.name, build_id=_chosen(seen, wishes.build).build_id)
    plan = await _planned(session, client, seen, header, wishes)
    calls = files.count_planned(plan)
    if wishes.yes and files.count_done(wishes.output) < calls:
        queue = await _queue(client, seen)
        work = Backfill(
            header=header,
            task_queue=queue,
            plan=files.plan_of(wishes.output).resolve(),
            output=wishes.output.resolve(),
            batch=await _batch(session, client, seen, queue, wishes.batch),
            priority=wishes.priority,
            done=files.count_done(wishes.output),
        )
        await _run(session, client, work, calls)
    return Backfilled(
        algorithm=seen.name,
        build_id=header.build_id,
        current=seen.current,
        calls=calls,
        done=files.count_done(wishes.output),
        outcomes=dict(files.outcomes(wishes.output)),
        output=wishes.output,
    )


def _chosen(seen: Deployment, wanted: str) -> Version:
    matches = [version for version in seen.versions if version.build_id.startswith(wanted)]
    if len(matches) != 1:
        raise UnknownBuild(
            f"{seen.name} has {'no' if not matches else 'more than one'} build {wanted[:80]!r}.",
            why=f"Its builds: {', '.join(version.build_id for version in seen.versions) or 'none'}.",
            now=f"Choose one of `conduit status {seen.name}`.",
        )
    return matches[0]


async def _planned(
    session: Session, client: Client, seen: Deployment, header: Header, wishes: BackfillWishes
) -> Path:
    """The plan of this output: the one that is there, or a new one."""
    plan = files.plan_of(wishes.output)
    there = files.read_header(plan)
    if there is None and wishes.output.exists():
        raise OutputUnusable(
            f"{wishes.output} exists, and no backfill has written it.", now="Choose another --output."
        )
    if there is not None and there != header:
        raise OutputUnusable(
            f"{wishes.output} belongs to the backfill of build {there.build_id} of {there.algorithm}.",
            now="Choose another --output.",
        )
    if there is None or not (wishes.yes or files.count_done(wishes.output)):
        await _write_plan(session, client, _chosen(seen, header.build_id), header, wishes)
    return plan


async def _write_plan(
    session: Session, client: Client, build: Version, header: Header, wishes: BackfillWishes
) -> None:
    with session.report.step("read histories") as detail:
        calls = [call async for call in answered(client, header.algorithm, build, wishes.most)]
        detail.append(f"{len(calls)} calls")
    try:
        files.write_plan(files.plan_of(wishes.output), header, calls)
    except OSError as error:
        raise OutputUnusable(
            f"{wishes.output} cannot be written.", why=str(error), now="Choose another --output."
        ) from error


async def _queue(client: Client, seen: Deployment) -> str:
    """The batch queue, where the live build takes its calls; else the algorithm's own."""
    batch = await Deployments(client).describe(batch_of(seen.name))
    return batch.name if batch is not None and batch.current == seen.current else seen.name


async def _batch(session: Session, client: Client, seen: Deployment, queue: str, wanted: int) -> int:
    """How many calls are under way: as wanted, as far as the live build's workers have room on that queue."""
    deployments = Deployments(client)
    workers = await deployments.live(lambda: deployments.workers_on(queue))
    slots = sum(worker.slots for worker in workers if worker.build_id == seen.current)
    most = room(slots, shared=queue == seen.name)
    if slots and most < wanted:
        session.report.say(f"  {most} calls at a time: the workers of {seen.current} run {slots} at once")
    return min(wanted, most) if slots else wanted


def room(slots: int, *, shared: bool) -> int:
    """How many of a queue's slots a backfill takes.

    A call that runs is not interrupted for one of production: where they share a queue, a slot is kept free.
    """
    return max(1, slots - max(1, slots // KEPT_FREE) if shared else slots)


async def _run(session: Session, client: Client, work: Backfill, calls: int) -> None:
    told = -1

    def tell(progress: Progress) -> None:
        nonlocal told
        if progress.done != told:
            told = progress.done
            session.report.say(f"  … {progress.done} of {progress.calls} calls")

    await host.run(client, work, calls, tell)
