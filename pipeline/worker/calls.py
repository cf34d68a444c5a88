"""The calls that this host runs: checked before they start, and given up when the host must end."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from pipeline.worker.payloads import require_count


class Calls(Interceptor):
    """Knows the running calls."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Run each call through this object."""
        return _Call(next, self._running)

    def abandon(self) -> int:
        """Hand back to the server what still runs, and return how many that was.

        The SDK raises in a thread to cancel it, which a thread in native code does not notice, and then
        waits for it. Cancelling the task that waits reports the call as not completed, so that the server
        retries it elsewhere; the thread itself can only be ended with the process.
        """
        for call in self._running:
            call.cancel()
        return len(self._running)


class _Call(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, running: set[asyncio.Task[Any]]) -> None:
        super().__init__(next)
        self._running = running

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        require_count(activity.info().activity_type, input.fn, list(input.args))
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # the SDK runs each call in a task of its own
        self._running.add(task)
        try:
            return await self.next.execute_activity(input)
        finally:
            self._running.discard(task)
