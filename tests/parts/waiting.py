"""Waiting for a condition with a deadline, in place of sleeping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.05


async def eventually(probe: Callable[[], Awaitable[T | None]], *, within: float = 30.0) -> T:
    """Call `probe` until it returns something true, and return that.

    Raises:
        TimeoutError: it did not within so many seconds.
    """
    deadline = time.monotonic() + within
    while True:
        found = await probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{probe} gave {found!r} for {within} s")
        await asyncio.sleep(PAUSE)


def eventually_sync(probe: Callable[[], T | None], *, within: float = 30.0) -> T:
    """Do as `eventually` does where there is no event loop."""
    deadline = time.monotonic() + within
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{probe} gave {found!r} for {within} s")
        time.sleep(PAUSE)
