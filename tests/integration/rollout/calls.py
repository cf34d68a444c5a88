"""One call, so that an algorithm counts as used."""

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from pipeline.deployments import Deployments
from tests.parts.load import Calling, running_load
from tests.parts.waiting import eventually


async def call_once(address: str, algorithm: str) -> None:
    """Have one workflow call an algorithm, until Current's worker tells of the call."""
    client = await Client.connect(address, data_converter=pydantic_data_converter)

    deployments = Deployments(client)

    async def is_told() -> bool:
        seen, workers = await deployments.describe(algorithm), await deployments.workers(algorithm)
        return seen is not None and any(w.processed for w in workers if w.build_id == seen.current)

    async with running_load(client, Calling(algorithm=algorithm), 1) as load:
        await eventually(is_told, within=60)
        await load.finish()
