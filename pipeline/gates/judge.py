"""What came of trials, weighed. Pure."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.gates.messages import MOST_EXAMPLES, Gate, GateFigures, GateFinding, Verdict
from pipeline.gates.texts import short
from pipeline.models import Build
from pipeline.worker.probe import Caller, Outcome, Trial, Tried
from pipeline.worker.served import percentile

BAD: tuple[Outcome, ...] = ("failed", "slow", "lost")
ANSWERED: tuple[Outcome, ...] = ("same", "different")
CLOSE = 0.8
"""Of a timeout: what comes so near to it is told."""


@dataclass(frozen=True)
class Case:
    """A trial and what came of it."""

    trial: Trial
    tried: Tried
    file: str = ""

    @property
    def place(self) -> str:
        """Where its input is found."""
        reference = self.trial.reference
        if reference is None:
            return self.file
        return f"{reference.workflow_type} {reference.workflow_id}, activity {reference.activity_id}"


def cases(trials: Sequence[Trial], tried: Sequence[Tried], files: Sequence[str] = ()) -> tuple[Case, ...]:
    """Each trial with what came of it."""
    names = files or ("",) * len(trials)
    return tuple(Case(*each) for each in zip(trials, tried, names, strict=True))


def smoke_findings(found: Iterable[Case]) -> Iterator[GateFinding]:
    """Each example has to be answered, and as it says."""
    for activity, its in _by_activity(found):
        wrong = [case for case in its if case.tried.outcome not in ("same",)]
        if wrong:
            what = f"{len(wrong)} of {len(its)} examples were not answered as they should"
            yield _finding("smoke", Verdict.FAIL, activity, what, wrong)


def replay_findings(found: Iterable[Case], build: Build, approved: Collection[str]) -> Iterator[GateFinding]:
    """What callers really sent has to be accepted, and answered as the configuration asks."""
    for activity, its in _by_activity(found):
        yield from _refused(activity, its, is_approved=activity in approved)
        yield from _failed(activity, its, build.gates.replay.max_failures)
        yield from _different(activity, its, build.gates.replay.max_differences)
        yield from _untried(activity, its)


def _refused(activity: str, its: Sequence[Case], *, is_approved: bool) -> Iterator[GateFinding]:
    refused = [case for case in its if case.tried.outcome == "refused"]
    if refused:
        verdict = Verdict.PASS if is_approved else Verdict.FAIL
        what = f"{len(refused)} of {len(its)} inputs that callers really sent are not accepted"
        yield _finding("contract", verdict, activity, what, refused)


def _failed(activity: str, its: Sequence[Case], bearable: float) -> Iterator[GateFinding]:
    ran = _ran(its)
    failed = [case for case in ran if case.tried.outcome in BAD]
    if failed:
        too_many = len(failed) > bearable * len(ran) or any(c.tried.outcome == "lost" for c in failed)
        verdict = Verdict.FAIL if too_many else Verdict.PASS
        what = f"{len(failed)} of {len(ran)} calls that production had answered failed"
        yield _finding("replay", verdict, activity, what, failed)


def _different(activity: str, its: Sequence[Case], bearable: float | None) -> Iterator[GateFinding]:
    compared = [case for case in its if case.tried.compared]
    different = [case for case in compared if case.tried.outcome == "different"]
    if different:
        too_many = bearable is not None and len(different) > bearable * len(compared)
        verdict = Verdict.FAIL if too_many else Verdict.PASS
        what = f"{len(different)} of {len(compared)} outputs differ from the recorded ones"
        yield _finding("replay", verdict, activity, what, different)


def _untried(activity: str, its: Sequence[Case]) -> Iterator[GateFinding]:
    for outcome, verb in (("unread", "could not be read"), ("skipped", "were not tried")):
        left = [case for case in its if case.tried.outcome == outcome]
        if left:
            verdict = Verdict.INCONCLUSIVE if len(left) == len(its) else Verdict.PASS
            what = f"{len(left)} of {len(its)} recorded calls {verb}"
            yield _finding("replay", verdict, activity, what, left[:1])


def budget_findings(found: Iterable[Case]) -> Iterator[GateFinding]:
    """The candidate's times against the timeouts that its callers set."""
    for activity, its in _by_activity(found):
        callers = {case.tried.caller for case in its if case.tried.caller is not None}
        slowest = percentile(_seconds(its), 0.95)
        if slowest is not None:
            yield from _over(activity, slowest, callers)
        once = sorted({caller.workflow_type for caller in callers if caller.maximum_attempts == 1})
        if once:
            yield GateFinding(
                gate="budget",
                verdict=Verdict.PASS,
                activity=activity,
                what="is called with a single attempt: no roll-back mends such a call that a bad build failed",
                examples=tuple(short(name) for name in once[:MOST_EXAMPLES]),
            )


def _over(activity: str, slowest: float, callers: Iterable[Caller]) -> Iterator[GateFinding]:
    limits = sorted(_limits(callers))
    if not limits or slowest < CLOSE * limits[0][0]:
        return
    over = [limit for limit in limits if slowest > limit[0]]
    what = f"95 % of the calls took up to {slowest:.2f} s, "
    what += "longer than callers wait" if over else f"close to the {limits[0][0]:g} s that callers wait"
    yield GateFinding(
        gate="budget",
        verdict=Verdict.FAIL if over else Verdict.PASS,
        activity=activity,
        what=what,
        now="Make it faster, or have its callers raise their timeouts first." if over else "",
        examples=tuple(short(f"{name}: {seconds:g} s ({kind})") for seconds, kind, name in over)[
            :MOST_EXAMPLES
        ],
    )


def _limits(callers: Iterable[Caller]) -> Iterator[tuple[float, str, str]]:
    for caller in callers:
        if caller.start_to_close is not None:
            yield caller.start_to_close, "start-to-close", caller.workflow_type
        if caller.schedule_to_close is not None:
            yield caller.schedule_to_close, "schedule-to-close", caller.workflow_type


def figures(gate: Gate, found: Iterable[Case]) -> Iterator[GateFigures]:
    """Counts and times of each activity."""
    for activity, its in _by_activity(found):
        ran = _ran(its)
        if ran:
            times = _seconds(its)
            yield GateFigures(
                gate=gate,
                activity=activity,
                calls=len(ran),
                failed=sum(case.tried.outcome in BAD for case in ran),
                different=sum(case.tried.outcome == "different" for case in ran),
                p50=percentile(times, 0.5),
                p95=percentile(times, 0.95),
            )


def _ran(its: Sequence[Case]) -> list[Case]:
    return [case for case in its if case.trial.run and case.tried.outcome in (*ANSWERED, *BAD)]


def _seconds(its: Iterable[Case]) -> list[float]:
    return sorted(
        case.tried.seconds
        for case in its
        if case.tried.seconds is not None and case.tried.outcome in ANSWERED
    )


def _by_activity(found: Iterable[Case]) -> list[tuple[str, list[Case]]]:
    its: dict[str, list[Case]] = {}
    for case in found:
        its.setdefault(case.trial.activity, []).append(case)
    return sorted(its.items())


def _finding(gate: Gate, verdict: Verdict, activity: str, what: str, its: Sequence[Case]) -> GateFinding:
    return GateFinding(
        gate=gate,
        verdict=verdict,
        activity=activity,
        what=what,
        examples=tuple(short(_example(case)) for case in its[:MOST_EXAMPLES]),
    )


def _example(case: Case) -> str:
    tried = case.tried
    return f"{case.place}: {'; '.join(tried.differences) or tried.why or tried.outcome}"


def verdict(findings: Iterable[GateFinding]) -> Verdict:
    """Of all findings together."""
    has: Callable[[Verdict], bool] = {finding.verdict for finding in findings}.__contains__
    return next((each for each in (Verdict.FAIL, Verdict.INCONCLUSIVE) if has(each)), Verdict.PASS)
