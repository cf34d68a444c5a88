"""What this host served: the latest calls of each activity, and its figures."""

import itertools
import math
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from temporalio import activity

from pipeline.worker.probe import SERVED, Reference, Served

KEPT = 500
"""Latest calls of each activity."""
LATENCIES = 500

_Call = tuple[str | None, str | None, str | None, str, float]


@dataclass
class _Activity:
    calls: int = 0
    failures: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    latest: deque[_Call] = field(default_factory=lambda: deque(maxlen=KEPT))


class Ledger:
    """Counts calls as they end. It keeps no payload."""

    def __init__(self) -> None:
        self._activities: defaultdict[str, _Activity] = defaultdict(_Activity)

    def answered(self, info: activity.Info, seconds: float) -> None:
        """Enter a call that was answered."""
        its = self._activities[info.activity_type]
        its.calls += 1
        its.latencies.append(seconds)
        if info.workflow_id:
            # Not the whole of it: it holds payloads, and each call of production passes here.
            its.latest.append(
                (info.workflow_id, info.workflow_run_id, info.workflow_type, info.activity_id, seconds)
            )

    def failed(self, info: activity.Info) -> None:
        """Enter a call that raised."""
        its = self._activities[info.activity_type]
        its.calls += 1
        its.failures += 1

    @activity.defn(name=SERVED)
    async def served(self, most: int) -> list[Served]:
        """What was served, with at most so many calls of each activity."""
        return [_served(name, its, most) for name, its in sorted(self._activities.items())]


def _served(name: str, its: _Activity, most: int) -> Served:
    latencies = sorted(its.latencies)
    return Served(
        activity=name,
        calls=its.calls,
        failures=its.failures,
        p50=percentile(latencies, 0.5),
        p95=percentile(latencies, 0.95),
        references=tuple(_reference(call) for call in itertools.islice(reversed(its.latest), most)),
    )


def _reference(call: _Call) -> Reference:
    workflow_id, run_id, workflow_type, activity_id, seconds = call
    return Reference(
        workflow_id=workflow_id or "",
        run_id=run_id or "",
        workflow_type=workflow_type or "",
        activity_id=activity_id,
        seconds=seconds,
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The least of the values that so large a share of them does not exceed; None of no values."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
