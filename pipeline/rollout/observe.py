"""Judging a build at production calls: reads heartbeats until the figures say enough or the time is over."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from pipeline.deployments import Deployment, Deployments, Worker, polls
from pipeline.gates import Verdict
from pipeline.models import Value, is_placeholder
from pipeline.rollout import diagnosis
from pipeline.rollout.faults import fault_of
from pipeline.rollout.judge import UNTOLD, Heard, Judgement, Meter, Tally, Told, judge, slowness
from pipeline.rollout.latencies import RESOLVED, Figures, Side
from pipeline.rollout.messages import Counters, Observed, ObserveRequest, Pair, Reference
from pipeline.rollout.pending import PendingCall, pending_calls
from pipeline.rollout.plan import Fault, Judged, Stage
from pipeline.rollout.troubled import MOST_KEPT, OTHERS, Troubled
from pipeline.runtimes import Runtime, dead

OBSERVE = "conduit.observe"
EVERY = 1.0
"""Seconds between two looks: a worker's heartbeat comes once a second."""
SILENT = 10.0
"""Seconds without a heartbeat after which a worker that runs is taken for stuck."""
SCAN_LIMIT = 3.0
"""Seconds that a change of routing waits for a look at the callers."""
STALL = 4.0
"""Seconds without an answer after which the server stood still, or this machine did. What it gave up then, and which
workers were not heard, is no build's doing."""
RECOVERY = 5.0
"""Seconds after that in which it shows."""
MOST_FAILING = 200
"""Calls that a failed observation hands on, of which a roll-back tells; its result has little room."""
FIRST_SCAN, LAST_SCAN = 3.0, 15.0
"""Seconds between two looks at the callers, which cost a request for each: at first, and in the end."""


class Seen(Value):
    """All that an observation has gathered. It travels in the heartbeat: another attempt goes on from it."""

    candidate: Meter = Meter()
    current: Meter = Meter()
    timed_out: Mapping[str, tuple[str, ...]] = {}
    """Attempts that the server gave up, by build; the workers' counters do not have them."""
    excused: tuple[str, ...] = ()
    """Attempts that it gave up before that, or when it stood still."""
    workflows: tuple[str, ...] = ()
    """Those that were seen to have a call with the candidate."""
    troubled: Troubled = Troubled()
    told: Told = UNTOLD

    def with_calls(
        self, calls: Sequence[PendingCall], candidate: str, current: str | None, *, excused: bool
    ) -> "Seen":
        """Take in what callers wait for; `excused`: what timed out until now is nobody's doing."""
        troubled = self.troubled.read(calls, candidate, current)
        given_up = {f"{call.key}/{call.attempt}": call for call in calls if call.timed_out}
        aside = {*self.excused, *given_up} if excused else set(self.excused)
        timed_out = {build: set(attempts) for build, attempts in self.timed_out.items()}
        for attempt, call in given_up.items():
            if not call.running and attempt not in aside and call.key not in troubled.before:
                timed_out.setdefault(call.build_id, set()).add(attempt)
        reached = {call.workflow_id for call in calls if call.build_id == candidate}
        return self.model_copy(
            update={
                "timed_out": {build: _kept(attempts) for build, attempts in timed_out.items()},
                "excused": _kept(aside),
                "workflows": _kept(reached.union(self.workflows)),
                "troubled": troubled,
            }
        )

    @property
    def is_at_work(self) -> bool:
        """Whether either build had a call."""
        tallies = (self.candidate.tally, self.current.tally)
        return any(tally.calls or tally.busy for tally in tallies) or bool(self.workflows)

    def tally(self, meter: Meter, build_id: str | None) -> Tally:
        """The counters, and what the server gave up."""
        counted, more = meter.tally, len(self.timed_out.get(build_id or "", ()))
        return counted.model_copy(update={"calls": counted.calls + more, "failed": counted.failed + more})

    @property
    def borne(self) -> int:
        """Failed attempts of the candidate, which its counters have, that are not held against it."""
        answers = (activity for activity, work in self.told.candidate.items() if work.calls >= OTHERS)
        excused = self.troubled.failures + self.troubled.repeats(answers)
        return min(excused, self.candidate.tally.failed)

    @property
    def may_be_borne(self) -> bool:
        """Whether failed attempts may be another call's doing, if its workers say that they answered others."""
        counted = self.candidate.tally
        return bool(self.troubled.repeated) and counted.calls - counted.failed >= OTHERS

    def judged_by(self, build_id: str) -> Tally:
        """The candidate's figures without what fails on Current too."""
        tally, out = self.tally(self.candidate, build_id), self.borne
        return tally.model_copy(
            update={"calls": tally.calls - out, "failed": tally.failed - out, "excused": out}
        )


def _kept(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names)[:MOST_KEPT])


class Beats:
    """When each worker's heartbeat last moved, by our own clock: a worker's own clock may differ."""

    def __init__(self) -> None:
        self._moved: dict[str, float] = {}
        self._latest: dict[str, datetime] = {}

    def read(self, workers: Iterable[Worker], now: float) -> None:
        """Take in the latest heartbeats."""
        for worker in workers:
            before = self._latest.get(worker.key)
            if before is not None and worker.heartbeat > before:
                self._moved[worker.key] = now
            self._latest[worker.key] = worker.heartbeat

    @property
    def heard(self) -> int:
        """How many processes were heard."""
        return len(self._moved)

    def silent(self, now: float, most: float) -> bool:
        """Whether one that was heard is heard no more."""
        return any(now - moved > most for moved in self._moved.values())

    def all_silent(self, now: float, most: float) -> bool:
        """Whether none is heard: then it may be the server that does not hear."""
        return bool(self._moved) and all(now - moved > most for moved in self._moved.values())


class Stalls:
    """Tells by when the server answers whether it stood still lately."""

    def __init__(self) -> None:
        self._answered = time.monotonic()
        self._until = -math.inf

    def answered(self) -> bool:
        """Take in an answer of the server; whether what it tells may come from a stall."""
        now = time.monotonic()
        if now - self._answered > STALL:
            self._until = now + RECOVERY
        self._answered = now
        return now < self._until


class Observer:
    """Bound to one namespace and one runtime."""

    def __init__(self, client: Client, deployments: Deployments, runtime: Runtime) -> None:
        self._client = client
        self._deployments = deployments
        self._runtime = runtime

    @activity.defn(name="conduit.counters")
    async def counters(self, pair: Pair) -> Counters:
        """Read the workers' counters before routing changes: what they count from then on is the change's."""
        if pair.tried:
            await self._until_heard(pair.candidate)
        candidate, current = pair.candidate.build_id, pair.current
        workers, calls = await asyncio.gather(
            self._deployments.workers(pair.candidate.deployment), self._at_once(pair.candidate.algorithm)
        )
        seen = _read(Seen(), _of(workers, candidate), _of(workers, current))
        troubled = pair.troubled.anew(calls, candidate, current)
        return Counters(candidate=seen.candidate, current=seen.current, troubled=troubled)

    async def _at_once(self, algorithm: str) -> tuple[PendingCall, ...]:
        """What callers wait for, if that is told soon: routing does not wait for it."""
        with contextlib.suppress(RPCError, TimeoutError):
            async with asyncio.timeout(SCAN_LIMIT):
                return await pending_calls(self._client, algorithm)
        return ()

    async def _until_heard(self, build: Reference) -> None:
        """Wait for another heartbeat of each worker: the gate's own calls are none of production's."""

        async def heard() -> dict[str, datetime]:
            workers = await self._deployments.workers(build.deployment)
            return {worker.key: worker.heartbeat for worker in _of(workers, build.build_id)}

        before, begun = await heard(), time.monotonic()
        async for _ in polls():
            seen = await heard()
            if all(seen.get(key) != beat for key, beat in before.items()):
                return
            if time.monotonic() - begun > SILENT:
                return  # it is judged by that

    @activity.defn(name=OBSERVE)
    async def observe(self, request: ObserveRequest) -> Observed:
        """Judge a candidate until it is clearly bad, good for long enough, or the time is over."""
        seen = _from_heartbeat() or _begun(request)
        if not _is_comparable(request):
            seen = seen.model_copy(update={"told": Told(heard=Heard.NOTHING_TO_COMPARE)})
        figures = Figures(self._client, request.candidate.algorithm, seen.told)
        try:
            return await self._observe(request, seen, figures)
        finally:
            await figures.close()

    async def _observe(self, request: ObserveRequest, seen: Seen, figures: Figures) -> Observed:
        begun, scanned = begun_at(request), 0.0
        ours, theirs, stalls = Beats(), Beats(), Stalls()
        async for now in _looks():
            elapsed = now - begun
            workers = await self._deployments.workers(request.candidate.deployment)
            mine, others = _of(workers, request.candidate.build_id), _of(workers, request.current)
            seen = _read(seen, mine, others)
            is_stalled = stalls.answered()
            is_due = is_stalled or now - scanned > _pause(elapsed)
            if is_due:
                seen = await self._scan(request, seen, stalls, first=not scanned)
                scanned = now
            is_doubtful = _is_doubtful(request, seen)
            sides = _sides(request, seen, mine, others)
            if sides and (is_due or is_doubtful):
                figures.want(*sides, doubtful=is_doubtful)
            seen = seen.model_copy(update={"told": figures.told})
            activity.heartbeat(seen)
            ours.read(mine, now)
            theirs.read(others, now)
            fault = await self._fault(request, ours, theirs, now, is_due=is_due, is_stalled=is_stalled)
            judged = _judged(request, seen, fault) if fault else conclusion(request, seen, elapsed)
            if judged and not fault:
                # What may speak for a build that fails, or against one that passes, is read once more.
                is_failing = judged.verdict is Verdict.FAIL
                if is_failing or seen.troubled.before or seen.troubled.repeated:
                    seen = await self._scan(request, seen, stalls)
                if sides and (not is_failing or seen.may_be_borne):
                    await figures.at_the_end(*sides, doubtful=_is_doubtful(request, seen))
                seen = seen.model_copy(update={"told": figures.told})
                judged = conclusion(request, seen, elapsed)
            if judged:
                return Observed(
                    judged=judged,
                    fault=fault,
                    failing=await self._failing(request, judged),
                    troubled=seen.troubled,
                )
        raise AssertionError("looks do not end")

    async def _scan(
        self, request: ObserveRequest, seen: Seen, stalls: Stalls, *, first: bool = False
    ) -> Seen:
        calls = await pending_calls(self._client, request.candidate.algorithm)
        excused = stalls.answered() or first
        return seen.with_calls(calls, request.candidate.build_id, request.current, excused=excused)

    async def _failing(self, request: ObserveRequest, judged: Judged) -> tuple[PendingCall, ...]:
        if judged.verdict is not Verdict.FAIL:
            return ()
        calls = await pending_calls(self._client, request.candidate.algorithm)
        return tuple(c for c in calls if c.build_id == request.candidate.build_id)[:MOST_FAILING]

    async def _fault(
        self,
        request: ObserveRequest,
        ours: Beats,
        theirs: Beats,
        now: float,
        *,
        is_due: bool,
        is_stalled: bool,
    ) -> Fault | None:
        build = request.candidate
        workers = await asyncio.to_thread(self._runtime.workers, build.algorithm)
        if died := dead(workers, build.build_id):
            return fault_of(diagnosis.death(died[0], await self._log(request)))
        # Those that another machine started for it are none that were started again.
        if ours.heard > max(request.replicas, len(request.counters.candidate.since)) + 1:
            return fault_of(diagnosis.restarting(build.build_id, ours.heard, await self._log(request)))
        if not is_stalled and ours.silent(now, SILENT) and not theirs.all_silent(now, SILENT / 2):
            return fault_of(diagnosis.silent(build.build_id, SILENT, await self._log(request)))
        # Not at each look: the server takes few descriptions of a deployment.
        return await self._routed_elsewhere(request) if is_due else None

    async def _routed_elsewhere(self, request: ObserveRequest) -> Fault | None:
        seen = await self._deployments.describe(request.candidate.deployment)
        if seen is None or has_its_calls(request, seen):
            return None
        error = diagnosis.routed_elsewhere(request.candidate.build_id, seen)
        return fault_of(error).model_copy(update={"by_the_build": False})

    async def _log(self, request: ObserveRequest) -> str:
        build = request.candidate
        return await asyncio.to_thread(self._runtime.log, build.algorithm, build.build_id)


def conclusion(request: ObserveRequest, seen: Seen, elapsed: float) -> Judged | None:
    """What the figures come to, if they are enough to end an observation that lasted so many seconds. Pure."""
    judgement = _judgement(request, seen)
    how = request.how
    is_quiet = how.quiet is not None and elapsed > how.quiet and not seen.is_at_work
    passes = judgement.verdict is Verdict.PASS and elapsed >= how.least and not how.waits_for_a_person
    # Where nobody calls either build, waiting longer brings no calls.
    nobody = elapsed >= how.least and not seen.is_at_work
    most = how.most + (RESOLVED if judgement.is_open else 0.0)
    over = elapsed >= most or (nobody and not how.waits_for_a_person)
    if judgement.verdict is Verdict.FAIL or passes or over or is_quiet:
        return _told(request, seen, judgement)
    return None


def has_its_calls(request: ObserveRequest, seen: Deployment) -> bool:
    """Whether a candidate still has the calls that it is judged at; one that waits may not have had any. Pure."""
    candidate = request.candidate.build_id
    if request.stage is Stage.WATCH:
        return seen.current == candidate
    if request.how.waits_for_a_person:
        return True
    # A person may have promoted it by hand.
    return candidate in (seen.ramping, seen.current)


def _judged(request: ObserveRequest, seen: Seen, fault: Fault) -> Judged:
    verdict = Verdict.FAIL if fault.by_the_build else Verdict.INCONCLUSIVE
    return _told(request, seen, Judgement(verdict=verdict, reason=fault.what))


def _told(request: ObserveRequest, seen: Seen, judgement: Judgement) -> Judged:
    return Judged(
        stage=request.stage,
        percent=request.percent,
        verdict=judgement.verdict,
        reason=judgement.reason,
        candidate=seen.judged_by(request.candidate.build_id),
        current=seen.tally(seen.current, request.current),
        workflows=len(seen.workflows),
    )


def _judgement(request: ObserveRequest, seen: Seen) -> Judgement:
    return judge(*_tallies(request, seen), seen.current.before, request.options, seen.told)


def _tallies(request: ObserveRequest, seen: Seen) -> tuple[Tally, Tally]:
    """The candidate's figures, and those it is compared with."""
    theirs = seen.judged_by(request.candidate.build_id)
    if request.current and is_placeholder(request.current):  # made-up answers are no measure
        return theirs, Tally()
    current = seen.tally(seen.current, request.current)
    # After promotion Current is the candidate, and the one before it has no calls to be compared with.
    return theirs, current if current.calls >= request.reference.calls else request.reference


def _is_doubtful(request: ObserveRequest, seen: Seen) -> bool:
    """Whether its workers have to tell before anything is made of the figures."""
    return bool(seen.troubled.repeated or slowness(*_tallies(request, seen), request.options))


def _read(seen: Seen, mine: Iterable[Worker], others: Iterable[Worker]) -> Seen:
    now = datetime.now(UTC)
    return seen.model_copy(
        update={"candidate": seen.candidate.read(mine, now), "current": seen.current.read(others, now)}
    )


def _begun(request: ObserveRequest) -> Seen:
    counters = request.counters
    return Seen(candidate=counters.candidate, current=counters.current, troubled=counters.troubled)


def _is_comparable(request: ObserveRequest) -> bool:
    """Whether workers' own figures tell: of batch calls and others they tell one, and a placeholder has none."""
    current = request.current
    is_other = current not in (None, request.candidate.build_id) and not is_placeholder(current)
    return is_other and not request.candidate.batch


def _sides(
    request: ObserveRequest, seen: Seen, mine: Sequence[Worker], others: Sequence[Worker]
) -> tuple[Side, Side] | None:
    """Whom to ask how long calls take."""
    if request.current is None or not _is_comparable(request):
        return None
    return (
        Side(build_id=request.candidate.build_id, workers=len(mine), calls=seen.candidate.total),
        Side(build_id=request.current, workers=len(others), calls=seen.current.total),
    )


def _of(workers: Iterable[Worker], build_id: str | None) -> list[Worker]:
    return [worker for worker in workers if worker.build_id == build_id]


def begun_at(request: ObserveRequest) -> float:
    """When the observation began, by this process's own clock: two times of the server's tell how long ago."""
    ago = activity.info().started_time - request.since
    return time.monotonic() - ago.total_seconds()


def _pause(elapsed: float) -> float:
    return min(max(FIRST_SCAN, elapsed / 10), LAST_SCAN)


def _from_heartbeat() -> Seen | None:
    details = activity.info().heartbeat_details
    # Another version of the toolkit may have been at it before: then it is observed anew.
    with contextlib.suppress(ValidationError):
        return Seen.model_validate(details[0]) if details else None
    return None


async def _looks() -> AsyncIterator[float]:
    while True:
        yield time.monotonic()
        await asyncio.sleep(EVERY)
