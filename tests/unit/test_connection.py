"""What of the environment reaches Temporal's client and the workers."""

import pytest
from temporalio.client import Client

from pipeline.connection import connect, is_local, variables
from pipeline.errors import ConduitError, TemporalRefused, TemporalUnreachable

# What a job of GitHub Actions sets where only the address is a secret of the environment.
UNSET = {
    "TEMPORAL_NAMESPACE": "",
    "TEMPORAL_API_KEY": "",
    "TEMPORAL_TLS_CLIENT_CERT_DATA": "",
    "TEMPORAL_TLS_SERVER_CA_CERT_DATA": "",
}


def test_an_empty_variable_is_as_none() -> None:
    given = {"TEMPORAL_ADDRESS": "temporal.example:7233", "PATH": "", **UNSET}
    assert variables(given) == {"TEMPORAL_ADDRESS": "temporal.example:7233"}


def test_an_empty_address_is_the_default() -> None:
    assert is_local({"TEMPORAL_ADDRESS": "", **UNSET})


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


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("PermissionDenied", TemporalRefused),
        ("Unauthenticated", TemporalRefused),
        ("Unimplemented", TemporalUnreachable),
    ],
)
async def test_a_server_that_refuses_a_credential_is_not_called_unreachable(
    code: str, kind: type[ConduitError], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise RuntimeError(f"Failed client connect: `get_system_info` call error: Status {{ code: {code}, }}")

    monkeypatch.setattr(Client, "connect", refuse)
    with pytest.raises(kind):
        await connect({}, identity="test")
