"""Which Temporal server counts as local, where a placeholder needs nobody's word."""

import pytest

from pipeline.connection import is_local


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (None, True),
        ("localhost:7233", True),
        ("127.0.0.1:7233", True),
        ("127.8.8.8:1", True),
        ("[::1]:7233", True),
        ("temporal.acme.com:7233", False),
        ("localhost.acme.com:7233", False),
        ("10.0.0.3:7233", False),
    ],
)
def test_a_server_is_local_by_its_address(address: str | None, local: bool) -> None:
    assert is_local({"TEMPORAL_ADDRESS": address} if address else {}) == local
