"""What Temporal's answers mean, and which of them are tried again."""

import contextlib
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from temporalio.api.workflowservice.v1 import ListWorkersRequest, ListWorkersResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from pipeline.deployments import Deployments, explain
from pipeline.errors import ConduitError, TemporalRefused, TemporalUnreachable


@pytest.mark.parametrize(
    ("message", "status", "again"),
    [
        ("too many requests issued to Worker Deployment", RPCStatusCode.INTERNAL, True),
        ("namespace rate limit exceeded", RPCStatusCode.RESOURCE_EXHAUSTED, True),
        ("no", RPCStatusCode.PERMISSION_DENIED, False),
        ("conflict token mismatch", RPCStatusCode.FAILED_PRECONDITION, False),
        ("away", RPCStatusCode.UNAVAILABLE, False),
    ],
)
async def test_what_the_server_puts_off_is_tried_again(
    message: str, status: RPCStatusCode, again: bool
) -> None:
    tries = 0

    async def refuses_once(request: ListWorkersRequest, **_: timedelta) -> ListWorkersResponse:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RPCError(message, status, b"")
        return ListWorkersResponse()

    client = cast(
        Client, SimpleNamespace(namespace="n", workflow_service=SimpleNamespace(list_workers=refuses_once))
    )
    with contextlib.nullcontext() if again else pytest.raises(ConduitError):
        assert await Deployments(client).workers("a") == ()
    assert tries == (2 if again else 1)


@pytest.mark.parametrize(
    ("message", "status", "error"),
    [
        ("away", RPCStatusCode.UNAVAILABLE, TemporalUnreachable),
        ("transport error", RPCStatusCode.UNKNOWN, TemporalUnreachable),
        ("h2 protocol error: http2 error", RPCStatusCode.INTERNAL, TemporalUnreachable),
        ("version is draining", RPCStatusCode.UNKNOWN, TemporalRefused),
        ("transport error", RPCStatusCode.PERMISSION_DENIED, TemporalRefused),
    ],
)
def test_a_connection_that_broke_in_the_middle_is_no_refusal(
    message: str, status: RPCStatusCode, error: type[ConduitError]
) -> None:
    assert type(explain(RPCError(message, status, b""))) is error
