"""The connection to Temporal, for a worker that shares no file system with this command."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from temporalio.envconfig import ClientConfigProfile, ClientConfigTLS

from pipeline.connection import DEFAULT_ADDRESS, DEFAULT_NAMESPACE
from pipeline.errors import InvalidValue


def portable(connection: Mapping[str, str]) -> dict[str, str]:
    """Say in TEMPORAL_* variables alone what they, their profile and the files that they name say together.

    Raises:
        InvalidValue: one of those files cannot be read.
    """
    with _told():
        return dict(_variables(ClientConfigProfile.load(override_env_vars=dict(connection))))


def namespace(connection: Mapping[str, str]) -> str:
    """The namespace that TEMPORAL_* variables, or their profile, lead to.

    Raises:
        InvalidValue: their profile cannot be read.
    """
    with _told():
        profile = ClientConfigProfile.load(override_env_vars=dict(connection))
    return profile.namespace or DEFAULT_NAMESPACE


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError is what the SDK's native part raises
        raise InvalidValue(
            "Temporal's connection settings cannot be read.",
            why=str(error),
            now="Correct the TEMPORAL_* variables or Temporal's configuration file.",
        ) from error


def _variables(profile: ClientConfigProfile) -> Iterator[tuple[str, str]]:
    plain = {
        "TEMPORAL_ADDRESS": profile.address or DEFAULT_ADDRESS,
        "TEMPORAL_NAMESPACE": profile.namespace,
        "TEMPORAL_API_KEY": profile.api_key,
    }
    yield from ((name, value) for name, value in plain.items() if value)
    for key, value in profile.grpc_meta.items():
        yield f"TEMPORAL_GRPC_META_{key.upper().replace('-', '_')}", value
    if profile.tls:
        yield from _tls(profile.tls)


def _tls(tls: ClientConfigTLS) -> Iterator[tuple[str, str]]:
    if tls.disabled is not None:
        yield "TEMPORAL_TLS", "false" if tls.disabled else "true"
    if tls.server_name:
        yield "TEMPORAL_TLS_SERVER_NAME", tls.server_name
    sources = {
        "SERVER_CA_CERT": tls.server_root_ca_cert,
        "CLIENT_CERT": tls.client_cert,
        "CLIENT_KEY": tls.client_private_key,
    }
    for name, source in sources.items():
        if source is not None:
            yield f"TEMPORAL_TLS_{name}_DATA", _text(source)


def _text(source: Path | str | bytes) -> str:
    if isinstance(source, Path):
        return source.read_text()
    return source.decode() if isinstance(source, bytes) else source
