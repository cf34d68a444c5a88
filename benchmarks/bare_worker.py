"""A `temporalio` worker as its documentation shows it, with the worker host's settings; for comparison.

python -m benchmarks.bare_worker ADDRESS TASK_QUEUE BUILD_ID
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Worker, WorkerDeploymentConfig

from benchmarks.echo import echo

CONCURRENCY = 100


async def main(address: str, task_queue: str, build_id: str) -> None:
    """Run until killed."""
    runtime = Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=timedelta(seconds=1))
    client = await Client.connect(address, data_converter=pydantic_data_converter, runtime=runtime)
    worker = Worker(
        client,
        task_queue=task_queue,
        activities=[echo],
        activity_executor=ThreadPoolExecutor(CONCURRENCY),
        max_concurrent_activities=CONCURRENCY,
        deployment_config=WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(task_queue, build_id),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        ),
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
