"""A task queue that this worker process alone takes calls from, for state that it holds in memory between calls."""

import uuid

from temporalio import activity
from temporalio.exceptions import ApplicationError

from pipeline.worker.checkpoint import CURRENT

_own: list[str] = []


def own_queue() -> str:
    """The task queue on which a caller reaches this very process again; an activity returns it to its caller.

    It is there with `own-queue = true` in [tool.conduit]. It goes with the process: the caller sets a
    schedule-to-start timeout, and where that passes begins again on the algorithm's queue.

    Raises:
        ApplicationError: `NoOwnQueue`, where it is not there.
    """
    if _own:
        return _own[0]
    call = CURRENT.get()
    if call is not None and call.is_hosted:
        raise ApplicationError(
            "this worker has no task queue of its own: set `own-queue = true` in [tool.conduit]",
            type="NoOwnQueue",
        )
    return activity.info().task_queue  # in a test environment


def open_own_queue(algorithm: str) -> str:
    """Name this process's own queue; a process that takes its place gets another."""
    _own[:] = [f"{algorithm}/{uuid.uuid4()}"]
    return _own[0]
