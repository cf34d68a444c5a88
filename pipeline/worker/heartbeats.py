"""Heartbeats of the calls that this host runs: a call that no worker has any more is then soon tried again.

A worker may be killed, and a call may be lost on its way, which the server has down as started all the same. If its
caller set a heartbeat timeout, it is tried again after that, and not after the start-to-close timeout only. What is
here keeps other calls from running into it. It tells that the host lives and its event loop turns, no more.
"""

import asyncio
import time
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

SHARE = 0.2
"""Of the heartbeat timeout: how long a call may be silent until its host heartbeats for it."""


class Heartbeats(Interceptor):
    """Heartbeats for each call whose caller set a heartbeat timeout."""

    def __init__(self, *, own: bool) -> None:
        """Begin with no calls; `own` as in `HostSettings.own_heartbeats`."""
        self._own = own

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Run each call beside its heartbeats."""
        return _Beating(next, own=self._own)


class _Beating(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, *, own: bool) -> None:
        super().__init__(next)
        self._own = own

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._pulse = _Pulse(outbound, own=self._own)
        super().init(self._pulse)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        timeout = activity.info().heartbeat_timeout
        if not timeout:
            return await self.next.execute_activity(input)
        beating = asyncio.create_task(self._pulse.keep(SHARE * timeout.total_seconds()))
        try:
            return await self.next.execute_activity(input)
        finally:
            beating.cancel()


class _Pulse(ActivityOutboundInterceptor):
    """Of one call. All of it happens in the event loop, where the SDK brings the heartbeats of threads."""

    def __init__(self, next: ActivityOutboundInterceptor, *, own: bool) -> None:
        super().__init__(next)
        self._own = own
        self._latest = time.monotonic()
        self._details: tuple[Any, ...] | None = None

    def heartbeat(self, *details: Any) -> None:
        self._latest = time.monotonic()
        self._details = details
        super().heartbeat(*details)

    async def keep(self, silence: float) -> None:
        """Heartbeat whenever the call itself was silent for so long."""
        while not (self._own and self._details is not None):
            await asyncio.sleep(self._latest + silence - time.monotonic())
            if time.monotonic() - self._latest >= silence:
                self._again()

    def _again(self) -> None:
        # A heartbeat replaces the one before: without its details, the next attempt would begin anew.
        details = activity.info().heartbeat_details if self._details is None else self._details
        self._latest = time.monotonic()
        super().heartbeat(*details)
