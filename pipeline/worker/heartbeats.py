"""Heartbeats of the calls that this host runs: a call that no worker has any more is then soon tried again.

A worker may be killed, and a call may be lost on its way, which the server has down as started all the same. If its
caller set a heartbeat timeout, it is tried again after that, and not after the start-to-close timeout only. What is
here keeps other calls from running into it. It tells that the host lives and its event loop turns, no more.
"""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from typing import Any

from temporalio import activity
from temporalio.common import RawValue
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

logger = logging.getLogger(__name__)

SHARE = 0.2
"""Of the heartbeat timeout: how long a call may be silent until its host heartbeats for it."""
TOO_LATE = (
    "no heartbeat of activity %s of workflow %s could be sent for %.0f s, and its caller set a heartbeat timeout of "
    "%.0f s: the call may be tried again beside this attempt. Something held Python's lock or the event loop for so "
    "long: native code that does not release the lock, or an `async def` that computes. Let it run in a process of "
    "its own, or have the timeout raised."
)


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
        self._pulse.begin(timeout.total_seconds() if timeout else math.inf)
        if not timeout:
            return await self.next.execute_activity(input)
        beating = asyncio.create_task(self._pulse.keep())
        try:
            return await self.next.execute_activity(input)
        finally:
            self._pulse.tell_if_late()
            beating.cancel()


class _Pulse(ActivityOutboundInterceptor):
    """Of one call. All of it happens in the event loop, where the SDK brings the heartbeats of threads."""

    def __init__(self, next: ActivityOutboundInterceptor, *, own: bool) -> None:
        super().__init__(next)
        self._own = own
        self._latest = time.monotonic()
        self._timeout = math.inf
        self._details: Sequence[RawValue] = ()
        self._has_spoken = False

    def begin(self, timeout: float) -> None:
        """Take over what the attempt before said: a heartbeat without it would make the next one begin anew."""
        self._timeout = timeout
        if before := activity.info().heartbeat_details:
            self._details = _as_they_are(before)

    def heartbeat(self, *details: Any) -> None:
        if details:  # a bare one says that the call lives, and does not take back what it saved
            self._details = _as_they_are(details)
        self._send()
        self._has_spoken = True

    async def keep(self) -> None:
        """Heartbeat whenever the call itself was silent for a share of its heartbeat timeout."""
        silence = SHARE * self._timeout
        while not self._is_alone:
            await asyncio.sleep(self._latest + silence - time.monotonic())
            if time.monotonic() - self._latest >= silence:
                self._send()

    @property
    def _is_alone(self) -> bool:
        """Whether the call is left to heartbeat itself, and its silence is its own."""
        return self._own and self._has_spoken

    def _send(self) -> None:
        self.tell_if_late()
        self._latest = time.monotonic()
        super().heartbeat(*self._details)

    def tell_if_late(self) -> None:
        """Write to the log if the call's caller had to take it for lost, though it runs."""
        silent = time.monotonic() - self._latest
        if silent > self._timeout and not self._is_alone:
            info = activity.info()
            logger.error(TOO_LATE, info.activity_type, info.workflow_id, silent, self._timeout)


def _as_they_are(details: Sequence[Any]) -> Sequence[RawValue]:
    """Details of now: the call may change its objects while the host repeats them."""
    return [RawValue(payload) for payload in activity.payload_converter().to_payloads(details)]
