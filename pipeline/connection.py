"""Connecting to Temporal as Temporal's own environment configuration says."""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError

from pipeline.errors import TemporalRefused, TemporalUnreachable

DEFAULT_ADDRESS = "localhost:7233"
DEFAULT_NAMESPACE = "default"
REFUSAL = re.compile(r"code: (?:PermissionDenied|Unauthenticated)\b")
"""How the SDK says that a server answered, and to whom it does not."""
PATIENCE = 10.0
"""Seconds to wait for a server that does not answer."""


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What workers need of the environment to connect as this command does."""
    return {name: value for name, value in _set(environment).items() if name.startswith("TEMPORAL_")}


def _set(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without Temporal's variables that are empty.

    A CI job sets an empty one for each secret that nobody gave it, and Temporal's client takes an empty key or
    certificate for one.
    """
    return {name: value for name, value in environment.items() if value or not name.startswith("TEMPORAL_")}


def is_local(environment: Mapping[str, str]) -> bool:
    """Whether the Temporal server that the environment names is on this machine."""
    host = urlsplit(f"//{_settings(environment)['target_host']}").hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def connect(environment: Mapping[str, str], *, identity: str) -> Client:
    """Connect with the address, namespace, key and certificates that the environment or its profile names.

    Raises:
        TemporalUnreachable: no server answered there.
        TemporalRefused: it did not let us in.
    """
    settings = _settings(environment)
    address = settings["target_host"]
    try:
        async with asyncio.timeout(PATIENCE):
            return await Client.connect(
                **settings, identity=identity, data_converter=pydantic_data_converter, runtime=_runtime()
            )
    except (RuntimeError, RPCError, TimeoutError, ValueError) as error:
        if REFUSAL.search(str(error)):
            raise TemporalRefused(
                f"The Temporal server at {address} does not let us in.",
                why=str(error),
                now="Correct TEMPORAL_API_KEY or the client certificate; it has to be one for TEMPORAL_NAMESPACE.",
            ) from error
        raise TemporalUnreachable(
            f"No Temporal server answered at {address}.",
            why=str(error) or f"There was no answer in {PATIENCE:.0f} seconds.",
            now="Set TEMPORAL_ADDRESS (and TEMPORAL_NAMESPACE, TEMPORAL_API_KEY where needed), "
            "or start a local server with `conduit dev`.",
        ) from error


def _settings(environment: Mapping[str, str]) -> ClientConnectConfig:
    try:
        settings = ClientConfig.load_client_connect_config(override_env_vars=_set(environment))
    except Exception as error:  # the SDK raises what its native part gives it
        raise TemporalUnreachable(
            "Temporal's connection settings cannot be read.",
            why=str(error),
            now="Correct the TEMPORAL_* variables or Temporal's configuration file.",
        ) from error
    settings.setdefault("target_host", DEFAULT_ADDRESS)
    return settings


def _runtime() -> Runtime:
    """A runtime whose worker heartbeats every second; a release's host is found by that."""
    return Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=timedelta(seconds=1))
