"""Asking the server: what is tried again, and what a refusal means."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from google.protobuf.message import Message
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.service import RPCError, RPCStatusCode
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from pipeline.errors import ConduitError, RoutingChanged, TemporalRefused, TemporalUnreachable

RPC_TIMEOUT = timedelta(seconds=10)
UNANSWERED = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
UNCLEAR = (RPCStatusCode.UNKNOWN, RPCStatusCode.INTERNAL)
BROKEN_CONNECTION = ("transport error", "h2 protocol error", "error reading a body from connection")

T = TypeVar("T")


async def ask(call: Callable[..., Awaitable[T]], request: Message) -> T:
    """Ask the server; try again what it puts off, as it does where much is asked of one deployment."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception(_is_rate_limit),
        stop=stop_after_delay(60),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        reraise=True,
    ):
        with attempt:
            try:
                return await call(request, timeout=RPC_TIMEOUT)
            except RPCError as error:
                raise explain(error) from error
    raise AssertionError("the last attempt raises")


async def find(call: Callable[..., Awaitable[T]], request: Message) -> T | None:
    """Ask the server for what it may not have; None then."""
    try:
        return await ask(call, request)
    except TemporalRefused as error:
        cause = error.__cause__
        if isinstance(cause, RPCError) and is_absent(cause):
            return None
        raise


def is_absent(error: RPCError) -> bool:
    """Whether the server has no such thing, in a namespace that it has."""
    return error.status == RPCStatusCode.NOT_FOUND and not _lacks_namespace(error)


def _lacks_namespace(error: RPCError) -> bool:
    missing = NamespaceNotFoundFailure.DESCRIPTOR
    return any(detail.Is(missing) for detail in error.grpc_status.details)


def explain(error: RPCError) -> ConduitError:
    """The error of ours that says what a refused or unanswered request means."""
    message = error.message
    if _is_unanswered(error):
        return TemporalUnreachable(
            "Temporal does not answer any more.",
            why=message,
            now="Run the command again once the server is back.",
        )
    if "conflict token mismatch" in message.lower():
        return RoutingChanged(
            "The routing was changed by somebody else at the same moment.",
            why=message,
            now="Look at `conduit status` and run the command again.",
        )
    if _lacks_namespace(error):
        return TemporalRefused(
            "Temporal does not have the namespace.",
            why=message,
            now="Set TEMPORAL_NAMESPACE to one that it has, or create it.",
        )
    return TemporalRefused("Temporal refused the request.", why=message, now=_advice(error))


def _is_unanswered(error: RPCError) -> bool:
    # The client has no status of its own for a connection that breaks in the middle of a request.
    is_broken = any(words in error.message.lower() for words in BROKEN_CONNECTION)
    return error.status in UNANSWERED or (error.status in UNCLEAR and is_broken)


def _advice(error: RPCError) -> str:
    if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        return "Use a credential that may change Worker Deployments in this namespace."
    if error.status == RPCStatusCode.UNIMPLEMENTED:
        return "Use a newer Temporal server; 1.32 has all that is needed."
    return "Look at the reason above; `conduit status` shows the routing."


def _is_rate_limit(error: BaseException) -> bool:
    if not isinstance(error, TemporalRefused):
        return False
    cause = error.__cause__  # a namespace's own limit has other words than a deployment's
    exhausted = isinstance(cause, RPCError) and cause.status == RPCStatusCode.RESOURCE_EXHAUSTED
    return exhausted or "too many requests" in error.why.lower()


async def polls(first: float = 0.05, most: float = 1.0) -> AsyncIterator[int]:
    """Count up with growing pauses (seconds); for what the server offers no event to wait for."""
    pause = first
    count = 0
    while True:
        yield count
        count += 1
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, most)
