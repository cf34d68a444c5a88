"""Identify the speaker of one clip."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from workflows.models import AudioClip, IdentificationRequest, SpeakerID

IDENTIFY_SPEAKER = "identify_speaker"
START_TO_CLOSE = timedelta(seconds=30)

# Attempts are not limited: a call that fails on a bad build moves to the good one after a roll-back, at most
# `maximum_interval` later. A clip that no build can identify is the algorithm's to refuse, for good, with a
# non-retryable error.
RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=10)
)


async def identify(clip: AudioClip, task_queue: str, priority: Priority = Priority.default) -> SpeakerID:
    """Call the algorithm's live build, whichever that is when the call is made.

    There is no schedule-to-close timeout: where no build is live yet, the call waits for the first one. Calls that
    wait for a free worker are taken by their priority.

    Raises:
        temporalio.exceptions.ActivityError: the algorithm refused the clip for good, or the workflow
            was cancelled.
    """
    answer: SpeakerID = await workflow.execute_activity(
        IDENTIFY_SPEAKER,
        clip,
        task_queue=task_queue,
        result_type=SpeakerID,
        start_to_close_timeout=START_TO_CLOSE,
        retry_policy=RETRIES,
        priority=priority,
        summary=f"{len(clip.wav):,} bytes of WAV",
    )
    return answer


@workflow.defn
class SpeakerIdentificationWorkflow:
    """One clip in, its speaker out."""

    @workflow.run
    async def run(self, request: IdentificationRequest) -> SpeakerID:
        """Identify the speaker of the request's clip."""
        return await identify(request.clip, request.task_queue)
