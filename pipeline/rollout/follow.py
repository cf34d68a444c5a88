"""Following a release from a command: its steps as they come, and its end."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError, TerminatedError
from temporalio.service import RPCError
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from pipeline import errors
from pipeline.errors import ConduitError
from pipeline.rollout.events import scheduled_by
from pipeline.rollout.faults import causes, restored
from pipeline.rollout.messages import Routed

PATIENCE = 300.0
"""Seconds that a server which does not answer is waited for."""

Handle = WorkflowHandle[Any, Routed]
OnStep = Callable[[str, str, float], None]
"""Called with a step's name, `started`, `ok` or `failed`, and the seconds that it took."""


async def follow(handle: Handle, on_step: OnStep) -> Routed:
    """Wait for a release's end, telling of its steps.

    Raises:
        ConduitError: why it failed.
    """
    watching = asyncio.create_task(_Watch(handle, on_step).run())
    try:
        return await _result(handle)
    except WorkflowFailureError as failure:
        raise _cause(failure) from failure
    except asyncio.CancelledError:  # Ctrl-C: undo, then go
        await handle.cancel()
        await asyncio.wait({asyncio.ensure_future(_ended(handle))}, timeout=30)
        raise
    finally:
        await asyncio.wait({watching}, timeout=1)
        watching.cancel()


async def _ended(handle: Handle) -> None:
    with contextlib.suppress(WorkflowFailureError):
        await _result(handle)


@retry(
    retry=retry_if_exception(lambda error: isinstance(error, RPCError)),
    stop=stop_after_delay(PATIENCE),
    wait=wait_fixed(0.5),
    reraise=True,
)
async def _result(handle: Handle) -> Routed:
    """Wait for the end, over restarts of the server."""
    return await handle.result()


class _Watch:
    """Tells of each step as the history grows; the server says when it does."""

    def __init__(self, handle: Handle, on_step: OnStep) -> None:
        self._handle = handle
        self._on_step = on_step
        self._started: dict[int, tuple[str, datetime]] = {}
        self._latest = 0

    async def run(self) -> None:
        while True:
            with contextlib.suppress(RPCError):  # the server is being restarted
                events = self._handle.fetch_history_events(wait_new_event=True, skip_archival=True)
                async for event in events:
                    if event.event_id > self._latest:
                        self._latest = event.event_id
                        self._tell(event)
                return
            await asyncio.sleep(0.5)

    def _tell(self, event: HistoryEvent) -> None:
        at = event.event_time.ToDatetime(UTC)
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            name = event.user_metadata.summary.data.decode(errors="replace").strip('"')
            self._started[event.event_id] = (name, at)
            self._on_step(name, "started", 0.0)
        elif (scheduled := scheduled_by(event)) in self._started:
            name, since = self._started[scheduled]
            ok = event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
            self._on_step(name, "ok" if ok else "failed", (at - since).total_seconds())


def _cause(failure: WorkflowFailureError) -> ConduitError:
    if error := restored(failure):
        return error
    if any(isinstance(cause, TerminatedError | CancelledError) for cause in causes(failure)):
        return errors.Superseded(
            "The release was ended by somebody else.",
            why="A newer release or a roll-back of the same algorithm took its place.",
            now="Look at `conduit history`.",
        )
    return errors.TemporalRefused(
        "The release failed for a reason that was not foreseen.",
        why=str(failure.cause),
        now="Look at it in Temporal's UI.",
    )
