"""Asking two builds' workers how long their calls take, beside an observation: it never waits for them for long."""

import asyncio
import logging
import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from pipeline.gates.plan import latest, of_each_activity
from pipeline.gates.probing import Target, probe
from pipeline.models import Value
from pipeline.rollout.judge import ENOUGH, Heard, Told, Work
from pipeline.worker.probe import ProbeAnswer, ProbeRequest, Reference, Served
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
"""After so many times without an answer, others are told of nobody any more; and a doubtful build is called silent if
Current did answer."""
LAST_PATIENCE = 4
"""A build is after so many, though nobody else answers either."""
AGAIN = 3.0
"""Seconds after which a build that seems slow is asked again."""
RESOLVED = LAST_PATIENCE * (ASKING.total_seconds() + AGAIN)
"""Seconds in which it becomes clear of a doubtful build whether it is slow."""

log = logging.getLogger(__name__)


def work(answers: Iterable[Sequence[Served]]) -> dict[str, Work]:
    """What several workers tell of each activity, or one of them that was asked more than once. Pure."""
    told = list(answers)
    ended, running = latest(told, ASKED), of_each_activity(told, lambda served: served.running)
    return {name: _work(ended.get(name, ()), running.get(name, ())) for name in ended.keys() | running.keys()}


def _work(ended: Sequence[Reference], running: Iterable[Reference]) -> Work:
    counted = sorted(call.seconds for call in ended[:COUNTED])
    are_enough = len(ended) == ASKED
    return Work(
        calls=len(counted),
        busy=sum(counted),
        running=sum(call.seconds for call in running),
        p50=percentile(counted, 0.5) if are_enough else None,
        p95=percentile(counted, 0.95) if are_enough else None,
    )


class Side(Value):
    """A build of an observation, by what its workers' heartbeats say of it."""

    build_id: str
    workers: int
    calls: int


class Figures:
    """What the workers of a candidate and of Current told last; read in the background, one reading at a time."""

    def __init__(self, client: Client, algorithm: str, told: Told) -> None:
        self.told = told
        self._client = client
        self._algorithm = algorithm
        self._read_at: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        self._missed_alone = 0
        self._asked_at = -math.inf
        self._is_doubted = False
        self._reading: asyncio.Task[None] | None = None

    def want(self, candidate: Side, current: Side, *, doubtful: bool = False) -> None:
        """Read what is new, unless that is under way or nobody answers; of a doubtful build, what runs now."""
        if doubtful and not self._is_doubted:  # what was told before says nothing of that
            self.told = self.told.model_copy(update={"heard": Heard.NOTHING})
            self._asked_at = -math.inf
        self._is_doubted = doubtful
        is_reading = self._reading is not None and not self._reading.done()
        if is_reading or not (self._is_due() if doubtful else self._is_worth_it(candidate)):
            return
        # After promotion the build before has no calls any more, and needs to be asked once; but that it
        # answers now tells the silence of the other from the server's.
        sides = [candidate, current] if doubtful or self._is_new(current) else [candidate]
        self._asked_at = time.monotonic()
        self._reading = asyncio.create_task(self._read(sides, candidate, current, doubtful))

    def _is_due(self) -> bool:
        return time.monotonic() - self._asked_at > AGAIN

    def _is_worth_it(self, candidate: Side) -> bool:
        answers = all(missed < PATIENCE for missed in self._missed.values())
        return answers and candidate.calls >= ASKED and self._is_new(candidate)

    def _is_new(self, side: Side) -> bool:
        return side.calls > self._read_at.get(side.build_id, 0)

    async def at_the_end(self, candidate: Side, current: Side, *, doubtful: bool = False) -> None:
        """Read once more, before a build passes."""
        self.want(candidate, current, doubtful=doubtful)
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=AT_THE_END)

    async def close(self) -> None:
        """Leave no reading behind."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading}, timeout=AT_THE_END)

    async def _read(self, sides: Sequence[Side], candidate: Side, current: Side, doubtful: bool) -> None:
        answers = await asyncio.gather(*(self._of(side) for side in sides))
        answered = {
            side.build_id: each for side, each in zip(sides, answers, strict=True) if each is not None
        }
        for side in sides:
            missed = self._missed.get(side.build_id, 0)
            self._missed[side.build_id] = 0 if side.build_id in answered else missed + 1
        if candidate.build_id in answered:
            self._missed_alone = 0
        elif answered:
            self._missed_alone += 1
        theirs = answered.get(candidate.build_id, self.told.candidate)
        ours = answered.get(current.build_id, self.told.current)
        is_of_before = self._is_doubted and not doubtful  # it was asked when nothing spoke against it yet
        heard = Heard.NOTHING if is_of_before else self._heard(candidate, current, answered.keys(), ours)
        self.told = Told(heard=heard, candidate=theirs, current=ours)

    def _heard(
        self, candidate: Side, current: Side, answered: Collection[str], told: Mapping[str, Work]
    ) -> Heard:
        if candidate.build_id not in answered:
            missed = self._missed[candidate.build_id]
            is_silent = self._missed_alone >= PATIENCE or missed >= LAST_PATIENCE
            return Heard.SILENCE if is_silent else Heard.NOTHING
        if any(work.calls >= ENOUGH for work in told.values()):
            return Heard.ANSWER
        is_known = current.build_id in answered or self._missed.get(current.build_id, 0) >= LAST_PATIENCE
        return Heard.NOTHING_TO_COMPARE if is_known else Heard.NOTHING

    async def _of(self, side: Side) -> Mapping[str, Work] | None:
        """Ask one build's workers; None where none of them answers."""
        target = Target(deployment=self._algorithm, build_id=side.build_id, task_queue=self._algorithm)
        times = min(side.workers, MOST_ASKED)
        answers = await asyncio.gather(*(self._ask(target) for _ in range(times)))
        told = [answer.served for answer in answers if answer is not None]
        if not told:
            return None
        self._read_at[side.build_id] = side.calls
        return work(told)

    async def _ask(self, target: Target) -> ProbeAnswer | None:
        """Ask one worker. That another one does not answer is no reason not to hear this one."""
        try:
            async with asyncio.timeout(ASKING.total_seconds()):
                return await probe(self._client, target, ProbeRequest(references=ASKED), ASKING)
        except (RPCError, TemporalError, TimeoutError, ValidationError):  # its host may be of another version
            log.debug("a worker's figures could not be read", exc_info=True)
            return None
