"""The calls that this host runs: checked before they start, entered when they end, given up when the host must."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from pipeline.worker.payloads import require_count
from pipeline.worker.probe import ProbeInterceptor
from pipeline.worker.served import Ledger
from pipeline.worker.trials import Trials, trial_of


class Calls(Interceptor):
    """Knows the running calls, and what was served."""

    def __init__(self, trials: Trials) -> None:
        self.ledger = Ledger()
        self._trials = trials
        self._running: set[asyncio.Task[Any]] = set()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Run each call through this object."""
        return _Call(next, self._running, self.ledger, self._trials)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        """What the probe's trials go through."""
        return ProbeInterceptor

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
    def __init__(
        self,
        next: ActivityInboundInterceptor,
        running: set[asyncio.Task[Any]],
        ledger: Ledger,
        trials: Trials,
    ) -> None:
        super().__init__(next)
        self._running = running
        self._ledger = ledger
        self._trials = trials

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # the SDK runs each call in a task of its own
        self._running.add(task)
        try:
            trial = trial_of(input.headers)
            if trial is not None:
                return await self._trials.make(trial, input, self.next)
            return await self._entered(input)
        finally:
            self._running.discard(task)

    async def _entered(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.is_local:
            return await self.next.execute_activity(input)
        call = self._ledger.begun(info)
        try:
            require_count(info.activity_type, input.fn, list(input.args))
            answer = await self.next.execute_activity(input)
            self._ledger.answered(call)
        except Exception:
            self._ledger.failed(call)
            raise
        finally:
            self._ledger.ended(call)
        return answer
