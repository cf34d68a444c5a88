"""Asking two builds' workers how long their calls take, beside an observation: it never waits for them for long."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from pipeline.gates.plan import latest
from pipeline.gates.probing import Target, probe
from pipeline.models import Value
from pipeline.rollout.judge import Latencies, Latency
from pipeline.worker.probe import ProbeRequest, Reference, Served
from pipeline.worker.served import percentile

ASKED = 30
"""Calls of an activity that each side must have answered. What a new process is slow at first with is not counted:"""
COUNTED = 20
"""the latest of them are."""
ASKING = timedelta(seconds=8)
MOST_ASKED = 4
"""How many times a build is asked: each time one of its workers answers."""
AT_THE_END = 3.0
"""Seconds that the end of an observation waits for the figures; without them it is judged by the others alone."""
PATIENCE = 2
"""After so many times without an answer nobody is asked any more."""

log = logging.getLogger(__name__)


def latencies(answers: Iterable[Sequence[Served]]) -> dict[str, Latency]:
    """How long the latest calls took, of the activities that had enough of them. Pure."""
    named = latest(answers, ASKED)
    return {name: _latency(calls[:COUNTED]) for name, calls in named.items() if len(calls) == ASKED}


def _latency(calls: Sequence[Reference]) -> Latency:
    ordered = sorted(call.seconds for call in calls)
    return Latency(p50=percentile(ordered, 0.5) or 0.0, p95=percentile(ordered, 0.95) or 0.0)


class Side(Value):
    """A build of an observation, by what its workers' heartbeats say of it."""

    build_id: str
    workers: int
    calls: int


class Figures:
    """The latest figures of a candidate and Current; read in the background, one reading at a time."""

    def __init__(self, client: Client, algorithm: str, known: Latencies) -> None:
        self.known = known
        self._client = client
        self._algorithm = algorithm
        self._read_at: dict[str, int] = {}
        self._unanswered = 0
        self._reading: asyncio.Task[None] | None = None

    def want(self, candidate: Side, current: Side) -> None:
        """Read what is new, unless that is under way or nobody answers."""
        is_reading = self._reading is not None and not self._reading.done()
        if is_reading or self._unanswered >= PATIENCE or candidate.calls < ASKED:
            return
        if self._is_new(candidate):
            self._reading = asyncio.create_task(self._read(candidate, current))

    def _is_new(self, side: Side) -> bool:
        return side.calls > self._read_at.get(side.build_id, 0)

    async def at_the_end(self, candidate: Side, current: Side) -> None:
        """Read once more, before a build passes."""
        self.want(candidate, current)
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=AT_THE_END)

    async def close(self) -> None:
        """Leave no reading behind."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading}, timeout=AT_THE_END)

    async def _read(self, candidate: Side, current: Side) -> None:
        # After promotion the build before has no calls any more: it is asked once.
        sides = [candidate, current] if self._is_new(current) else [candidate]
        try:
            async with asyncio.timeout(ASKING.total_seconds()):
                told = await asyncio.gather(*(self._of(side) for side in sides))
        except (RPCError, TemporalError, TimeoutError):
            log.debug("the workers' figures could not be read", exc_info=True)
            told = [None]
        answered = {side.build_id: each for side, each in zip(sides, told, strict=False) if each is not None}
        self._unanswered = 0 if len(answered) == len(sides) else self._unanswered + 1
        self.known = Latencies(
            candidate=answered.get(candidate.build_id, self.known.candidate),
            current=answered.get(current.build_id, self.known.current),
        )

    async def _of(self, side: Side) -> Mapping[str, Latency] | None:
        """Ask one build's workers; None where none of them answers."""
        target = Target(deployment=self._algorithm, build_id=side.build_id, task_queue=self._algorithm)
        asked = ProbeRequest(references=ASKED)
        times = min(side.workers, MOST_ASKED)
        answers = await asyncio.gather(*(probe(self._client, target, asked, ASKING) for _ in range(times)))
        self._read_at[side.build_id] = side.calls
        told = [answer.served for answer in answers if answer is not None]
        return latencies(told) if told else None
