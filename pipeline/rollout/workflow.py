"""The workflow that releases a build. It and a roll-back have the same workflow ID, so they exclude each other.

All that they rest on is in Temporal's routing, metadata and heartbeats: a release that was cut off is not resumed
but begun anew, and finds done what was done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pipeline import gates
    from pipeline.gates import GateRequest
    from pipeline.report import inert
    from pipeline.rollout import page
    from pipeline.rollout.activities import Activities
    from pipeline.rollout.faults import aborted, after_undo, changed_since, failure, fault_of, fault_of_step
    from pipeline.rollout.heal import Healer
    from pipeline.rollout.judge import Tally
    from pipeline.rollout.messages import (
        PROGRESS,
        Before,
        Counters,
        HealReport,
        HealRequest,
        Lineage,
        ObserveRequest,
        Order,
        Pair,
        Progress,
        Quarantine,
        Quarantined,
        RampTo,
        Reference,
        Registered,
        ReleaseRequest,
        Retired,
        RetireRequest,
        Route,
        Routed,
        Started,
        Undo,
        Wanted,
    )
    from pipeline.rollout.observe import Observer
    from pipeline.rollout.page import heal_lines, progress
    from pipeline.rollout.pending import PendingCall
    from pipeline.rollout.plan import (
        Action,
        End,
        Fault,
        Gate,
        Judged,
        Observe,
        Offline,
        Promote,
        PutBack,
        Ramp,
        Retire,
        Stage,
        Start,
        State,
        next_action,
    )
    from pipeline.rollout.retire import Retirer
    from pipeline.rollout.steps import MOST, beside, start, step, undisturbed

T = TypeVar("T")

GATE = timedelta(hours=1)

Outcome = tuple[Judged | None, Fault | None]
NOTHING: Outcome = (None, None)


def _most(action: Observe) -> timedelta:
    return timedelta(seconds=action.most) + MOST


@workflow.defn
class Rollout:
    """Releases one build; `plan` says what comes next, and this does it.

    Signals: pause, resume, promote, abort. Query: progress. Temporal's UI shows where it is, in words.
    """

    @workflow.init
    def __init__(self, request: ReleaseRequest) -> None:
        self._request = request
        self._build = Reference(algorithm=request.build.algorithm, build_id=request.build.build_id)
        self._state = State(options=request.build.release, candidate=request.build.build_id, was=None)
        self._before = Before(current=None, was=None, is_used=False)
        self._orders = 0
        self._counters = Counters()
        self._tried = False
        self._failing: tuple[PendingCall, ...] = ()
        self._propagated = True
        self._propagating: asyncio.Task[bool] | None = None
        self._retired: Retired | None = None
        self._approval = ""
        self._last_told = ""

    @workflow.run
    async def run(self, request: ReleaseRequest) -> Routed:
        """Route the algorithm's calls to the build, or fail and leave them as they were."""
        wanted = Wanted(**dict(self._build), lineage=not self._state.options.watch)
        self._before = await step("read routing", Activities.routing, wanted)
        self._state = self._state.model_copy(
            update={
                "was": self._before.was,
                "is_current": self._before.current == self._build.build_id,
                "is_used": self._before.is_used,
            }
        )
        if fault := changed_since(request, self._before.current):
            raise failure(fault)
        try:
            while not isinstance(action := next_action(self._state), End):
                self._tell()
                await self._do(action)
        except asyncio.CancelledError:
            if not self._state.is_over:
                await undisturbed(self._put_back(blame=False))
                raise
            self._state = self._state.after(Retire())  # what is live stays live
        self._tell()
        if fault := self._state.fault:
            raise failure(fault)
        return self._routed()

    async def _do(self, action: Action) -> None:
        try:
            match action:
                case Observe():
                    await self._observe(action)
                case PutBack():
                    await self._roll_back(action)
                case _:
                    judged, fault = await self._unless_aborted(self._perform(action))
                    self._state = self._state.after(action, judged, fault)
        except ActivityError as error:
            self._state = self._state.broke(fault_of_step(error))

    async def _unless_aborted(self, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Do a step; where a person aborts the release meanwhile, do not wait for its end."""
        task = asyncio.create_task(work)
        try:
            await workflow.wait_condition(lambda: task.done() or self._state.fault is not None)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])  # else it might route calls after they were put back
            raise
        if not task.done():
            task.cancel()
        try:
            return await task
        except (ActivityError, asyncio.CancelledError):
            if self._state.fault is None:
                raise
            return NOTHING

    async def _perform(self, action: Action) -> Outcome:
        match action:
            case Start():
                await self._start()
            case Gate():
                return await self._gate()
            case Ramp():
                await self._count(self._build, self._state.was)
                ramp = RampTo(build=self._build, percent=action.percent)
                await step(f"ramp {action.percent:g} %", Activities.ramp, ramp)
            case Offline():
                await self._count(self._observed, self._before.batch_was)
                await self._route_batch("offline")
                await step("propagate offline", Activities.propagate, self._observed)
            case Promote():
                await self._promote()
            case Retire():
                await self._until_propagated()
                self._retired = await self._retire(self._lineage)
        return NOTHING

    @property
    def _lineage(self) -> Lineage | None:
        """The deployment's builds, where they were read before: the server takes a second after a promotion."""
        before = self._before.lineage
        return before.promoted(self._build.build_id) if before else None

    async def _retire(self, lineage: Lineage | None = None) -> Retired:
        options = self._state.options
        request = RetireRequest(
            algorithm=self._build.algorithm,
            keep=options.keep,
            records=options.records,
            spare=(self._build.build_id,),
            lineage=lineage,
        )
        return await step("retire", Retirer.retire, request)

    async def _start(self) -> None:
        request = self._request
        await step("tidy", Activities.tidy, self._build)
        if self._before.versions > self._state.options.records:
            await self._make_room()
        await start(Started(build=request.build, replicas=request.replicas, timeout=request.start_timeout))
        about = Registered(build=request.build, by=request.by, run_url=request.run_url, at=workflow.now())
        await step("describe", Activities.describe, about)

    async def _make_room(self) -> None:
        try:
            await self._retire()
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            # Where there is no room, registering says so.

    async def _gate(self) -> Outcome:
        request = GateRequest(
            build=self._request.build,
            current=self._before.promised,
            by=self._request.by,
            approvals=self._request.approvals,
            reason=self._request.reason,
        )
        report = await step("gate", Activities.gate, request, GATE)
        self._tried = any(figures.calls for figures in report.figures)
        self._approval = gates.approval(report)
        error = gates.failure(report)
        told = "; ".join(finding.what for finding in report.findings) or "nothing was found"
        judged = Judged(stage=Stage.GATE, verdict=report.verdict, reason=told)
        return judged, fault_of(error) if error else None

    @property
    def _observed(self) -> Reference:
        """The candidate where it is judged."""
        return self._build.for_batch if self._state.stage is Stage.OFFLINE else self._build

    async def _route_batch(self, name: str) -> None:
        before = self._before
        known = (before.batch, before.batch_was, self._request.supersedes or before.batch)
        route = Route(
            algorithm=self._build.algorithm, batch=True, build_id=self._build.build_id, expected=known
        )
        await step(name, Activities.route, route)

    async def _promote(self) -> None:
        if self._state.options.offline_first:  # already so, unless a person said "now" before its time
            await self._route_batch("promote offline")
        await self._count(self._build, self._state.was)
        expected = (self._before.current, self._request.supersedes or self._before.current)
        route = Route(algorithm=self._build.algorithm, build_id=self._build.build_id, expected=expected)
        await step("promote", Activities.route, route)
        # A server may take long to say that all queues know it. The build is judged meanwhile.
        self._propagating = beside(step("propagate", Activities.propagate, self._build))

    async def _until_propagated(self) -> None:
        if self._propagating is not None:
            propagating, self._propagating, self._propagated = self._propagating, None, False
            self._propagated = await propagating

    async def _count(self, candidate: Reference, current: str | None) -> None:
        """Read the counters before a change of routing: what is counted from then on is its doing."""
        if self._state.options.watch or self._state.stage is not Stage.PROMOTE:
            pair = Pair(
                candidate=candidate, current=current, troubled=self._counters.troubled, tried=self._tried
            )
            self._tried = False
            self._counters = await step("counters", Observer.counters, pair)

    async def _observe(self, action: Observe) -> None:
        """Judge the build, until a person says something: then the next action is chosen anew."""
        state, orders = self._state, self._orders
        watching = beside(
            step(self._name(action), Observer.observe, self._what_to_observe(action), _most(action))
        )
        await workflow.wait_condition(lambda: watching.done() or self._orders != orders)
        if not watching.done():
            watching.cancel()
            await asyncio.wait([watching])
            return
        observed = await watching
        self._failing = observed.failing
        self._counters = self._counters.model_copy(update={"troubled": observed.troubled})
        if self._state is state:
            self._state = state.after(action, observed.judged, observed.fault)

    def _what_to_observe(self, action: Observe) -> ObserveRequest:
        state = self._state
        reference = next((j.current for j in reversed(state.judged) if j.stage is Stage.RAMP), Tally())
        return ObserveRequest(
            candidate=self._observed,
            current=self._before.batch_was if state.stage is Stage.OFFLINE else state.was,
            reference=reference,
            counters=self._counters,
            options=state.options,
            how=action,
            stage=state.stage,
            percent=state.percent,
            since=workflow.now(),
            replicas=self._request.replicas,
        )

    def _name(self, action: Observe) -> str:
        if action.waits_for_a_person:
            return "wait for a person"
        percent = self._state.percent
        if percent:
            return f"judge {percent:g} %"
        return "judge offline" if self._state.stage is Stage.OFFLINE else "watch"

    async def _roll_back(self, action: PutBack) -> None:
        report = await undisturbed(self._put_back(blame=action.quarantine))
        if fault := self._state.fault:
            live = self._build.build_id if self._stays(action.quarantine) else self._before.was
            told = after_undo(fault, live, heal_lines(report) if report else ())
            self._state = self._state.model_copy(update={"fault": told})
        self._state = self._state.after(action)

    def _stays(self, blame: bool) -> bool:
        """Whether the build, Current before this began, stays Current."""
        return self._state.is_current and not blame

    async def _put_back(self, *, blame: bool) -> HealReport | None:
        """Routing first, then the mark that keeps the build from coming back, then its workers and callers."""
        if self._propagating is not None:
            self._propagating.cancel()
        undo = Undo(candidate=self._build, was=self._before.was, stays=self._stays(blame))
        await step("undo", Activities.undo, undo)
        if self._state.options.offline_first:
            undo = Undo(candidate=self._build.for_batch, was=self._before.batch_was, stays=undo.stays)
            await self._try("undo offline", Activities.undo, undo)
        if not blame:
            await self._stop()
            return None
        quarantine = Quarantine(
            reason=self._blame(), by=self._request.by, at=workflow.now(), unless=self._approval
        )
        await self._try(
            "quarantine", Activities.quarantine, Quarantined(build=self._build, quarantine=quarantine)
        )
        seconds = self._state.options.heal_limit.total_seconds()
        heal = HealRequest(bad=self._build, failing=self._failing, seconds=seconds)
        _, report = await asyncio.gather(self._stop(), self._try("heal", Healer.heal, heal, seconds))
        return report

    async def _stop(self) -> None:
        await self._try("stop", Activities.stop, self._build, self._request.build.host.grace)

    async def _try(
        self, name: str, activity: Callable[[Any, Any], Awaitable[T]], argument: object, seconds: float = 0
    ) -> T | None:
        """Do a step whose failure changes nothing in what the release comes to; it may take so long, and longer."""
        try:
            return await step(name, activity, argument, timedelta(seconds=seconds) + MOST)
        except ActivityError as error:
            workflow.logger.warning("the step %s of a roll-back failed: %s", name, inert(str(error.cause)))
            return None

    def _blame(self) -> str:
        fault = self._state.fault
        return " ".join(filter(None, [fault.what, fault.why])) if fault else ""

    def _routed(self) -> Routed:
        return Routed(
            algorithm=self._build.algorithm,
            build_id=self._build.build_id,
            previous=self._before.current,
            propagated=self._propagated,
            batch=self._build.build_id if self._state.options.offline_first else self._before.batch,
            by=self._request.by,
            reason=self._request.reason,
            judged=self._state.judged,
            retired=self._retired,
        )

    @workflow.signal
    def pause(self, order: Order) -> None:
        """Do not go forward; a bad build is rolled back all the same."""
        self._told(self._state.pause())

    @workflow.signal
    def resume(self, order: Order) -> None:
        """Go on after a pause; what was held is judged anew."""
        self._told(self._state.resume())

    @workflow.signal
    def promote(self, order: Order) -> None:
        """Make the build Current without more of the ramp, or end the watch."""
        self._told(self._state.promote())

    @workflow.signal
    def abort(self, order: Order) -> None:
        """Stop and go back."""
        self._told(self._state.abort(aborted(order)))

    def _told(self, state: State) -> None:
        self._state = state
        self._orders += 1
        self._tell()

    @workflow.query
    def progress(self) -> Progress:
        """Where the release is."""
        return progress(self._state)

    def _tell(self) -> None:
        """Show it in Temporal's UI, and to those who ask without this workflow's worker being there."""
        now = progress(self._state)
        workflow.set_current_details(page.markdown(self._build.algorithm, now))
        told = now.model_dump_json()
        if told != self._last_told:
            self._last_told = told
            workflow.upsert_memo({PROGRESS: told})
