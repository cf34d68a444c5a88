"""Running a backfill from a command: its worker lives as long as the command follows it."""

import asyncio
import socket
from collections.abc import Callable

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from pipeline.backfill.messages import Backfill, Progress, workflow_id
from pipeline.backfill.workflow import Recompute, Steps
from pipeline.errors import BackfillFailed, BackfillUnderWay
from pipeline.rollout.faults import restored
from pipeline.rollout.serving import Reporting

PAUSE = 1.0
OUTPUT = "output"
"""In the memo of a backfill: the file that it writes."""


async def run(client: Client, backfill: Backfill, calls: int, tell: Callable[[Progress], None]) -> Progress:
    """Make the calls of a plan, and tell how far it is; one that runs already is followed.

    Raises:
        BackfillFailed: it was ended by somebody.
        BackfillUnderWay: another one is.
        OutputUnusable: its files were changed, or cannot be written.
    """
    queue = f"{workflow_id(backfill.header.algorithm)}@{socket.gethostname()}"
    steps = Steps(client)
    handle = await client.start_workflow(
        Recompute.run,
        args=[backfill, calls],
        id=workflow_id(backfill.header.algorithm),
        task_queue=queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        memo={OUTPUT: str(backfill.output)},
        static_summary=f"{backfill.header.algorithm}: calls of build {backfill.header.build_id} again",
    )
    await _require_same(handle, backfill)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Recompute],
        activities=[steps.recall, steps.keep],
        interceptors=[Reporting()],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        return await _follow(handle, tell)


async def _require_same(handle: WorkflowHandle[Recompute, Progress], backfill: Backfill) -> None:
    output = await (await handle.describe()).memo_value(OUTPUT, str(backfill.output))
    if output != str(backfill.output):
        raise BackfillUnderWay(
            f"Another backfill of {backfill.header.algorithm} is under way.",
            why=f"It writes {output}, and an algorithm has one at a time.",
            now="Run that one's command again to its end, or end it: "
            f"temporal workflow terminate --workflow-id {handle.id}",
        )


async def _follow(handle: WorkflowHandle[Recompute, Progress], tell: Callable[[Progress], None]) -> Progress:
    result = asyncio.create_task(handle.result())
    try:
        while not result.done():
            await asyncio.wait({result}, timeout=PAUSE)
            await _tell(handle, tell)
        return await result
    except WorkflowFailureError as failure:
        raise restored(failure) or BackfillFailed(
            "The backfill was ended.",
            why=str(failure.cause),
            now="Run the same command again: it goes on behind the last answer that it kept.",
        ) from failure
    finally:
        result.cancel()


async def _tell(handle: WorkflowHandle[Recompute, Progress], tell: Callable[[Progress], None]) -> None:
    try:
        tell(await handle.query(Recompute.progress))
    except RPCError:  # it has ended meanwhile, or the server is busy: the next one tells
        return
