"""The connection to Temporal, by Temporal's own environment configuration."""

import asyncio
import itertools
import logging
import time
from collections.abc import Iterator
from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.converter import PayloadCodec
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode

from pipeline.worker.failures import FailureName, HostFailure, message
from pipeline.worker.payloads import HostDataConverter

logger = logging.getLogger(__name__)

REFUSALS = {RPCStatusCode.NOT_FOUND, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED}
UNUSABLE = "Temporal's connection settings cannot be used"
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0


async def connect(
    *, identity: str, heartbeat: float, patience: float, codec: PayloadCodec | None = None
) -> Client:
    """Connect to the namespace that the environment names; try again with backoff until `patience` ends.

    Args:
        identity: how the worker is called in Temporal's pages.
        heartbeat: seconds between two heartbeats of the worker.
        patience: seconds from the first attempt on.
        codec: what callers encode their payloads with.

    Raises:
        HostFailure: HostMisconfigured; TemporalUnreachable; TemporalRefused if it answered that it will not have
            this client.
    """
    config = _config()
    runtime = _runtime(heartbeat)
    deadline = time.monotonic() + patience
    pauses = _pauses()
    while True:
        try:
            async with asyncio.timeout(patience):
                return await _attempt(config, identity, runtime, codec)
        except ValueError as error:  # of the address or a certificate: it stays so
            raise _failure("HostMisconfigured", UNUSABLE, error) from error
        except (RuntimeError, RPCError, TimeoutError) as error:
            await _wait_or_give_up(error, config["target_host"], deadline, next(pauses))


def _runtime(heartbeat: float) -> Runtime:
    # Through Python's logging: the SDK's own console output is coloured, which a log file should not be.
    log = LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logging.getLogger("temporalio"), prepend_target_on_message=False),
    )
    return Runtime(
        telemetry=TelemetryConfig(logging=log), worker_heartbeat_interval=timedelta(seconds=heartbeat)
    )


def _config() -> ClientConnectConfig:
    try:
        config = ClientConfig.load_client_connect_config()
    except Exception as error:  # the SDK raises what its native part gives it
        raise _failure("HostMisconfigured", UNUSABLE, error) from error
    config.setdefault("target_host", "localhost:7233")
    return config


def _pauses() -> Iterator[float]:
    return (min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) for attempt in itertools.count())


async def _attempt(
    config: ClientConnectConfig, identity: str, runtime: Runtime, codec: PayloadCodec | None
) -> Client:
    client = await Client.connect(
        **config,
        identity=identity,
        runtime=runtime,
        data_converter=HostDataConverter(payload_codec=codec),
    )
    # A worker would find out only after it says that it polls.
    await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return client


async def _wait_or_give_up(error: Exception, address: str, deadline: float, pause: float) -> None:
    if isinstance(error, RPCError) and error.status in REFUSALS:
        raise _failure("TemporalRefused", f"Temporal at {address} refused this worker", error) from error
    if time.monotonic() + pause > deadline:
        raise _failure("TemporalUnreachable", f"Temporal at {address} did not answer", error) from error
    logger.warning("Temporal at %s does not answer, next try in %s s: %s", address, pause, error)
    await asyncio.sleep(pause)


def _failure(name: FailureName, what: str, error: Exception) -> HostFailure:
    return HostFailure(name, what, why=message(error))
