"""Have a forecast tuned to a file of numbers, one a line, the oldest first. The call may take hours.

    python engineer/tune_forecast.py FILE

This is the engineers' side. It lives in a repo of theirs and imports nothing of the research.
"""

import asyncio
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker


@dataclass
class Series:
    """What the algorithm takes."""

    values: list[float]


@dataclass
class Smoothing:
    """What it gives."""

    factor: float
    error: float


@workflow.defn
class TuneForecast:
    """One long call, with what has to be said of it. Stubs say the same, and give an attempt ten minutes."""

    @workflow.run
    async def run(self, series: Series) -> Smoothing:
        """Return the best factor."""
        best: Smoothing = await workflow.execute_activity(
            "tune",
            series,
            result_type=Smoothing,
            task_queue="forecast-tuning",
            # Of one attempt, not of the call: an attempt that a release or a crash ends is followed by another.
            start_to_close_timeout=timedelta(hours=6),
            # By this Temporal notices that a worker died. Workers heartbeat as long as they live, and each heartbeat
            # carries what the call saved last.
            heartbeat_timeout=timedelta(seconds=30),
            # There is no `retry_policy` here: a hand-over takes an attempt, so do not limit them to one.
        )
        return best


async def main(series: Series) -> None:
    """Run the workflow here and print what it found."""
    settings = ClientConfig.load_client_connect_config()
    settings.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**settings, data_converter=pydantic_data_converter)
    async with Worker(client, task_queue="tune-forecast", workflows=[TuneForecast]):
        best = await client.execute_workflow(
            TuneForecast.run, series, id="tune-forecast", task_queue="tune-forecast"
        )
    print(f"factor {best.factor:.5f}, mean error {best.error:.3f}", flush=True)


if __name__ == "__main__":
    numbers = Path(sys.argv[1]).read_text().split()
    asyncio.run(main(Series(values=[float(number) for number in numbers])))
    # All is done. The SDK's native threads sometimes abort a Python that is shutting down
    # (temporalio/sdk-python#300): leave without that.
    os._exit(0)
