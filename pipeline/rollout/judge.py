"""How a build does at production calls: worker heartbeats in, a verdict out. Pure."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field

from pipeline.deployments import Worker
from pipeline.gates import Verdict
from pipeline.models import Value
from pipeline.options.release import ReleaseOptions

DOUBT = 0.001
"""A build is called bad when a good one would do as badly less often than this. It is looked at every second."""
FEWEST_FAILURES = 3
"""One call that fails, and its retry, say nothing of a build."""
ENOUGH = 10
"""Calls of Current from which its own rates count."""
LEAST_BUSY = 15.0
"""Seconds that a build has spent on calls before it can be called slow."""
LEAST_WATCHED = 5.0
"""Seconds for which it was watched before that."""
LEAST_WATCHED_ALONE = 20.0
"""The same where nobody else tells: a server that stands still keeps all slots in use, as a slow build does."""
LONGEST_LOOK = 3.0
"""Seconds between two looks that count at most: how busy a build was in a longer gap was not seen."""
SHORTEST = 1.0
"""Seconds of a call below which heartbeats, one a second, cannot tell how long it takes."""
UNFINISHED = 2
"""Calls that are reckoned as finished though they are not: one long call is not a slow build."""
LEAST_SLOWER = 0.2
"""Seconds by which a call must take longer than Current's: below that, a busy machine does as much."""


class Tally(Value):
    """What a build did over some time. A call that is tried three times counts three times."""

    calls: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    busy: float = Field(
        default=0.0, ge=0, description="seconds that its workers spent on calls, all slots added"
    )
    watched: float = Field(default=0.0, ge=0, description="seconds for which its workers were looked at")
    excused: int = Field(
        default=0, ge=0, description="failed attempts, in no other figure, of calls that Current failed too"
    )

    @property
    def rate(self) -> float:
        """The share that failed."""
        return self.failed / self.calls if self.calls else 0.0


class Work(Value):
    """What a build's workers tell of an activity: its latest calls, and those that are under way; in seconds."""

    calls: int = Field(default=0, ge=0)
    busy: float = Field(default=0.0, ge=0, description="all that these calls took")
    running: float = Field(default=0.0, ge=0, description="the ages of those under way, added")
    p50: float | None = Field(default=None, description="of the latest calls; null of too few")
    p95: float | None = None


class Heard(StrEnum):
    """What became of asking a candidate's workers how long their calls take."""

    NOTHING = "nothing"
    """There is no answer yet."""
    ANSWER = "answer"
    SILENCE = "silence"
    """They do not answer, and others do."""
    NOTHING_TO_COMPARE = "nothing to compare"
    """Current's workers have no figures, or nobody is asked."""


class Told(Value):
    """What the workers of two builds tell themselves, by activity."""

    heard: Heard = Heard.NOTHING
    candidate: Mapping[str, Work] = {}
    current: Mapping[str, Work] = {}


UNTOLD = Told()


class Judgement(Value):
    """A verdict, and the figures in words."""

    verdict: Verdict
    reason: str
    is_open: bool = Field(default=False, description="its workers are still to tell whether it is slow")


class Count(Value):
    """The counters of one worker process."""

    processed: int
    failed: int


class Meter(Value):
    """Reads the counters of a build's workers, which start again with each process, as sums since a moment."""

    since: Mapping[str, Count] = {}
    """Of the workers that were there at that moment, by their keys."""
    latest: Mapping[str, Count] = {}
    busy: float = 0.0
    watched: float = 0.0
    at: datetime | None = None

    def read(self, workers: Iterable[Worker], now: datetime) -> Self:
        """Take in what the workers report now."""
        seen = tuple(workers)
        counts = {w.key: Count(processed=w.processed, failed=w.failed) for w in seen}
        passed = min(max(0.0, (now - self.at).total_seconds()), LONGEST_LOOK) if self.at else 0.0
        used = sum(worker.used_slots for worker in seen)
        return self.model_copy(
            update={
                "since": self.since if self.at else counts,
                "latest": {**self.latest, **counts},
                "busy": self.busy + used * passed,
                "watched": self.watched + passed,
                "at": now,
            }
        )

    @property
    def tally(self) -> Tally:
        """The sums since that moment."""
        none = Count(processed=0, failed=0)
        grown = [(count, self.since.get(key, none)) for key, count in self.latest.items()]
        return Tally(
            calls=sum(max(0, count.processed - before.processed) for count, before in grown),
            failed=sum(max(0, count.failed - before.failed) for count, before in grown),
            busy=self.busy,
            watched=self.watched,
        )

    @property
    def total(self) -> int:
        """Calls of these processes since each of them began."""
        return sum(count.processed for count in self.latest.values())

    @property
    def before(self) -> Tally:
        """What these workers had done before that moment."""
        return Tally(
            calls=sum(count.processed for count in self.since.values()),
            failed=sum(count.failed for count in self.since.values()),
        )


def chance(failed: int, calls: int, rate: float) -> float:
    """How often a build that fails at `rate` fails so often or more in so many calls (the exact binomial tail)."""
    if failed <= calls * rate:
        return 1.0
    if rate <= 0.0:
        return 0.0
    log_term = (
        math.lgamma(calls + 1)
        - math.lgamma(failed + 1)
        - math.lgamma(calls - failed + 1)
        + failed * math.log(rate)
        + (calls - failed) * math.log1p(-rate)
    )
    term, total = math.exp(log_term), 0.0
    for k in range(failed, calls + 1):
        total += term
        term *= (calls - k) / (k + 1) * rate / (1 - rate)
        if term < total * 1e-9:
            break
    return min(1.0, total)


def borne(options: ReleaseOptions, references: Iterable[Tally]) -> float:
    """The failure rate that is not held against a build: the configured one, or Current's where that is higher."""
    return max([options.max_failure_rate, *(t.rate for t in references if t.calls >= ENOUGH)])


def is_clearly_failing(candidate: Tally, rate: float) -> bool:
    """Whether no good build would fail so often."""
    return candidate.failed >= FEWEST_FAILURES and chance(candidate.failed, candidate.calls, rate) < DOUBT


def mean_duration(of: Tally, *, unfinished: float = 0, spare: float = 0.0) -> float:
    """Seconds that a call takes, by Little's law: the time that slots were in use, over the calls that ended."""
    return (of.busy + spare) / max(of.calls + unfinished, 1)


def slowness(candidate: Tally, current: Tally, options: ReleaseOptions) -> str:
    """Why a build seems slow or hanging beside Current by heartbeats; empty if it does not, or if it cannot be told.

    A slot is in use until the server took the answer: that it took long may be the server's doing.
    """
    if current.calls < ENOUGH or candidate.busy < LEAST_BUSY or candidate.watched < LEAST_WATCHED:
        return ""
    # Both are reckoned in the candidate's favour.
    theirs = mean_duration(candidate, unfinished=UNFINISHED)
    ours = mean_duration(current, spare=1.0)
    if theirs < SHORTEST or theirs <= options.max_slowdown * ours:
        return ""
    return (
        f"its calls take {theirs:.1f} s or longer where Current's take {mean_duration(current):.1f} s "
        f"({candidate.calls} ended in {candidate.busy:.0f} s of work)"
    )


def slow_activity(told: Told, options: ReleaseOptions) -> str:
    """Which activity takes too long by the workers' own figures; empty if none does, or if it cannot be told.

    The middle call must take longer than nearly all of Current's: calls may differ much in length by themselves.
    """
    for name in sorted(told.candidate.keys() & told.current.keys()):
        theirs, ours = told.candidate[name], told.current[name]
        if theirs.p50 is None or ours.p50 is None or ours.p95 is None:
            continue
        if theirs.p50 > max(options.max_slowdown * ours.p50, ours.p50 + LEAST_SLOWER, ours.p95):
            return (
                f"half of its latest calls of {name} take {theirs.p50:.2f} s or longer where Current's "
                f"take {ours.p50:.2f} s"
            )
    return ""


def stuck_activity(told: Told, options: ReleaseOptions) -> str:
    """The same with the calls that are under way; what Current did not serve may take as long as it likes."""
    for name in sorted(told.candidate.keys() & told.current.keys()):
        theirs, ours = told.candidate[name], told.current[name]
        if ours.calls < ENOUGH:
            continue
        takes = (theirs.busy + theirs.running) / (theirs.calls + UNFINISHED)
        took = ours.busy / ours.calls
        if takes > max(SHORTEST, options.max_slowdown * took, ours.p95 or 0.0):
            return f"its calls of {name} take {takes:.1f} s or longer where Current's take {took:.1f} s"
    return ""


def slow_or_doubtful(
    candidate: Tally, current: Tally, options: ReleaseOptions, told: Told
) -> Judgement | None:
    """What speaks against a build in how long its calls take; None if nothing does.

    Heartbeats make it doubtful. The workers themselves, or that they alone do not answer, tell that it is slow.
    """
    if slow := slow_activity(told, options):
        return Judgement(verdict=Verdict.FAIL, reason=slow)
    seems = slowness(candidate, current, options)
    if not seems:
        return None
    match told.heard:
        case Heard.ANSWER:
            slow = stuck_activity(told, options)
        case Heard.SILENCE:
            slow = f"{seems}, and its workers do not answer"
        case Heard.NOTHING_TO_COMPARE if candidate.watched >= LEAST_WATCHED_ALONE:
            slow = seems
        case _:
            reason = f"{seems}; its workers did not tell yet"
            return Judgement(verdict=Verdict.INCONCLUSIVE, reason=reason, is_open=True)
    return Judgement(verdict=Verdict.FAIL, reason=slow) if slow else None


def judge(
    candidate: Tally, current: Tally, before: Tally, options: ReleaseOptions, told: Told = UNTOLD
) -> Judgement:
    """Judge a build.

    Args:
        candidate: what it did since the step began.
        current: what Current did over the same time, or over the ramp where it gets no calls any more.
        before: what Current had done until then.
        options: of the release.
        told: how long calls take by the workers' own figures, as far as they told.
    """
    rate = borne(options, (current, before))
    counted = f"{candidate.failed} of {candidate.calls} calls failed, {rate:.1%} are borne"
    if candidate.excused:
        counted += f"; {candidate.excused} tries of calls that Current fails too are not counted"
    if is_clearly_failing(candidate, rate):
        return Judgement(verdict=Verdict.FAIL, reason=counted)
    if against := slow_or_doubtful(candidate, current, options, told):
        return against
    if candidate.calls < options.min_calls:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE,
            reason=f"{counted}; a verdict needs {options.min_calls} calls",
        )
    if candidate.rate > rate:
        return Judgement(verdict=Verdict.INCONCLUSIVE, reason=f"{counted}; that may be chance")
    return Judgement(verdict=Verdict.PASS, reason=counted)
