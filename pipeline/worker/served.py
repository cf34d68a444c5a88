"""What this host serves and served: the calls under way, the latest of each activity, and its figures."""

import itertools
import math
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from temporalio import activity

from pipeline.worker.probe import SERVED, Reference, Served

KEPT = 500
"""Latest calls of each activity."""
LATENCIES = 500


class Call(NamedTuple):
    """Not the whole of what the SDK tells: it holds payloads, and each call of production passes here."""

    activity: str
    workflow_id: str
    run_id: str
    workflow_type: str
    activity_id: str
    begun: float
    """By this process's own clock, in seconds."""


_Ended = tuple[Call, float]


@dataclass
class _Activity:
    calls: int = 0
    failures: int = 0
    running: set[Call] = field(default_factory=set)
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    latest: deque[_Ended] = field(default_factory=lambda: deque(maxlen=KEPT))


class Ledger:
    """Knows calls from their beginning to their end. It keeps no payload."""

    def __init__(self) -> None:
        self._activities: defaultdict[str, _Activity] = defaultdict(_Activity)

    def begun(self, info: activity.Info) -> Call:
        """Enter a call that begins. Each one that is begun has to be given to `ended` once, however it ends."""
        call = Call(
            info.activity_type,
            info.workflow_id or "",
            info.workflow_run_id or "",
            info.workflow_type or "",
            info.activity_id,
            time.perf_counter(),
        )
        self._activities[call.activity].running.add(call)
        return call

    def answered(self, call: Call) -> None:
        """Enter that a call was answered."""
        its, seconds = self._activities[call.activity], _age(call)
        its.calls += 1
        its.latencies.append(seconds)
        if call.workflow_id:
            its.latest.append((call, seconds))

    def failed(self, call: Call) -> None:
        """Enter that a call raised."""
        its = self._activities[call.activity]
        its.calls += 1
        its.failures += 1

    def ended(self, call: Call) -> None:
        """Enter that a call runs no more."""
        self._activities[call.activity].running.discard(call)

    @activity.defn(name=SERVED)
    async def served(self, most: int) -> list[Served]:
        """What is and was served, with at most so many calls of each activity."""
        return [_served(name, its, most) for name, its in sorted(self._activities.items())]


def _served(name: str, its: _Activity, most: int) -> Served:
    latencies = sorted(its.latencies)
    longest_first = sorted(((call, _age(call)) for call in its.running), key=lambda pair: -pair[1])
    return Served(
        activity=name,
        calls=its.calls,
        failures=its.failures,
        p50=percentile(latencies, 0.5),
        p95=percentile(latencies, 0.95),
        references=_references(reversed(its.latest), most),
        running=_references((pair for pair in longest_first if pair[0].workflow_id), most),
    )


def _age(call: Call) -> float:
    return time.perf_counter() - call.begun


def _references(calls: Iterable[_Ended], most: int) -> tuple[Reference, ...]:
    return tuple(
        Reference(
            workflow_id=call.workflow_id,
            run_id=call.run_id,
            workflow_type=call.workflow_type,
            activity_id=call.activity_id,
            seconds=seconds,
        )
        for call, seconds in itertools.islice(calls, most)
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The least of the values that so large a share of them does not exceed; None of no values."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
