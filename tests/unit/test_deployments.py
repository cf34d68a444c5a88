"""Which of Temporal's answers are tried again."""

import pytest
from temporalio.service import RPCError, RPCStatusCode

from pipeline.deployments import _explained, _is_rate_limit
from pipeline.errors import ConduitError


async def refused(message: str, status: RPCStatusCode) -> None:
    raise RPCError(message, status, b"")


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
    with pytest.raises(ConduitError) as raised:
        await _explained(refused(message, status))
    assert _is_rate_limit(raised.value) is again
