"""What of the environment reaches Temporal's client and the workers."""

from pipeline.connection import is_local, variables

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
