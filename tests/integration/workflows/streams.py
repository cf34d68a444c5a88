"""Starting streams, and finding the runs that one consists of."""

from uuid import uuid4

from temporalio.client import Client, WorkflowHandle

from workflows.models import SpeakerStream, StreamProgress
from workflows.stream import SpeakerStreamWorkflow

Handle = WorkflowHandle[SpeakerStreamWorkflow, StreamProgress]


async def start(
    client: Client, engineers: str, stream: SpeakerStream, start_signal: str | None = None
) -> Handle:
    return await client.start_workflow(
        SpeakerStreamWorkflow.run,
        stream,
        id=f"stream-{uuid4()}",
        task_queue=engineers,
        start_signal=start_signal,
    )


async def runs(client: Client, stream: Handle) -> list[Handle]:
    """The runs of a stream in their order, each with its own history."""
    run_id = stream.first_execution_run_id
    found: list[Handle] = []
    while run_id:
        run = client.get_workflow_handle_for(SpeakerStreamWorkflow.run, stream.id, run_id=run_id)
        found.append(run)
        last = (await run.fetch_history()).events[-1]
        run_id = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return found
