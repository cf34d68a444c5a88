"""Find texts that are copies of each other in an archive: a folder of `.txt` files for each customer.

    python engineer/find_copies.py ARCHIVE

This is the engineers' side. It lives in a repo of theirs and imports nothing of the research: `fingerprints_stubs.py`
beside it is what `conduit stubs fingerprints --output fingerprints_stubs.py` wrote.
"""

import asyncio
import itertools
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import Priority
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from fingerprints_stubs import Document, fingerprint

AT_ONCE = 8  # calls of each customer, so that the server's queue stays short
ALIKE = 12  # bits of 64 that may differ


@dataclass
class Archive:
    """The texts of one customer, by name; 2 MB at most, which is what Temporal takes in one payload."""

    customer: str
    texts: dict[str, str]


@workflow.defn
class FindCopies:
    """Takes the fingerprint of each text, and compares them."""

    @workflow.run
    async def run(self, archive: Archive) -> list[tuple[str, str]]:
        """The names of the texts that are alike, in pairs."""
        seats = asyncio.Semaphore(AT_ONCE)

        async def bits(text: str) -> int:
            async with seats:
                found = await fingerprint(
                    Document(text=text),
                    # New builds are judged on this queue, before they get a call of anybody who waits.
                    task_queue="fingerprints/batch",
                    # Behind all that is more urgent on it, and by turns with the other customers.
                    priority=Priority(priority_key=5, fairness_key=archive.customer),
                )
            return int(found.bits, 16)

        found = await asyncio.gather(*map(bits, archive.texts.values()))
        pairs = itertools.combinations(zip(archive.texts, found, strict=True), 2)
        return [(a, b) for (a, one), (b, other) in pairs if (one ^ other).bit_count() <= ALIKE]


def archives(folder: Path) -> list[Archive]:
    """Read each customer's texts."""
    return [
        Archive(customer.name, {file.name: file.read_text() for file in sorted(customer.glob("*.txt"))})
        for customer in sorted(folder.iterdir())
    ]


async def main(customers: list[Archive]) -> None:
    """Run the workflows here, one for each customer, and print what they found."""
    settings = ClientConfig.load_client_connect_config()
    settings.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**settings, data_converter=pydantic_data_converter)

    async def find(archive: Archive) -> None:
        workflow_id = f"find-copies-{archive.customer}"
        found = await client.execute_workflow(
            FindCopies.run, archive, id=workflow_id, task_queue="find-copies"
        )
        for pair in found:
            print(f"{archive.customer}: {' and '.join(pair)} are alike", flush=True)

    async with Worker(client, task_queue="find-copies", workflows=[FindCopies]):
        await asyncio.gather(*map(find, customers))


if __name__ == "__main__":
    asyncio.run(main(archives(Path(sys.argv[1]))))
    # All is done. The SDK's native threads sometimes abort a Python that is shutting down
    # (temporalio/sdk-python#300): leave without that.
    os._exit(0)
