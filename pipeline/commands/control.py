"""`conduit pause`, `resume`, `promote` and `abort`: what a person says to a release that is running."""

import asyncio
from typing import Literal

from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError

from pipeline.commands.session import Session
from pipeline.deployments import is_absent, polls
from pipeline.errors import NoRelease
from pipeline.models import Value
from pipeline.rollout import host
from pipeline.rollout.messages import PROGRESS, Order, Progress, workflow_id
from pipeline.rollout.page import where
from pipeline.rollout.workflow import Rollout

Word = Literal["pause", "resume", "promote", "abort"]
HEARD = 15.0
"""Seconds in which a release that is served takes a word in."""


class Told(Value):
    """What a release made of a word."""

    algorithm: str
    word: Word
    heard: bool
    """Whether it has taken it in; not where nobody serves it just now."""
    progress: Progress | None

    def lines(self) -> list[str]:
        """The closing lines for people."""
        if not self.heard:
            return [
                f"{self.algorithm}: the word is left with the release; nobody serves it just now.",
                "  Run `conduit deliver` for its commit again, or start `conduit controller`.",
            ]
        now = f"; it is at {where(self.progress)}" if self.progress else ""
        return [f"{self.algorithm}: the release heard {self.word!r}{now}."]


async def tell(session: Session, algorithm: str, word: Word, reason: str) -> Told:
    """Send a word to the algorithm's release and see that it takes it in.

    Raises:
        NoRelease: none is running.
    """
    client = await session.connect()
    seen = await _rollout(client, algorithm)
    handle = client.get_workflow_handle_for(Rollout.run, workflow_id(algorithm), run_id=seen.run_id)
    signals = {
        "pause": Rollout.pause,
        "resume": Rollout.resume,
        "promote": Rollout.promote,
        "abort": Rollout.abort,
    }
    try:
        await handle.signal(signals[word], Order(by=session.by, reason=reason))
    except RPCError as error:
        if is_absent(error):  # it ended in this moment
            raise _no_release(algorithm) from error
        raise
    progress = None
    try:
        async with asyncio.timeout(HEARD):
            async for _ in polls(most=0.5):
                now = await handle.describe()
                progress = await progress_of(now)
                if not now.raw_description.HasField("pending_workflow_task"):
                    return Told(algorithm=algorithm, word=word, heard=True, progress=progress)
    except TimeoutError:
        pass
    return Told(algorithm=algorithm, word=word, heard=False, progress=progress)


async def _rollout(client: Client, algorithm: str) -> WorkflowExecutionDescription:
    seen = await host.running(client, algorithm)
    if seen is None or seen.workflow_type != "Rollout":
        raise _no_release(algorithm)
    return seen


def _no_release(algorithm: str) -> NoRelease:
    return NoRelease(
        f"No release of {algorithm[:80]!r} is running.",
        why="It is over, or it was never begun.",
        now="Look at `conduit status` and `conduit history`; `conduit rollback` takes back what is live.",
    )


async def progress_of(seen: WorkflowExecutionDescription) -> Progress | None:
    """Where a release is, by what it last told."""
    try:
        return Progress.model_validate_json(str((await seen.memo()).get(PROGRESS, "")))
    except ValidationError:
        return None
