"""Run an archive through the algorithm, beside the interactive calls and behind them.

A batch of calls is under way at a time, at a priority that interactive calls go before, and with a fairness key for
each customer, so that one customer's million clips do not hold up another's ten. Where the backfill is stands in its
own state: a worker that dies, a release or a roll-back of the algorithm costs nothing but the time.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, RetryState

with workflow.unsafe.imports_passed_through():
    from workflows.archive import Archive
    from workflows.models import (
        Answers,
        ArchivedAnswer,
        ArchivedClip,
        ArchivePage,
        Backfill,
        BackfillProgress,
        SpeakerID,
    )

from workflows.identification import identify

ARCHIVE_TIMEOUT = timedelta(minutes=2)
ARCHIVE_RETRIES = RetryPolicy(maximum_interval=timedelta(seconds=30))
MAX_FAIRNESS_KEY = 64


@workflow.defn
class ArchiveBackfillWorkflow:
    """Identifies the speaker of every clip of the archive."""

    @workflow.init
    def __init__(self, backfill: Backfill) -> None:
        self._become(backfill)

    @workflow.run
    async def run(self, backfill: Backfill) -> BackfillProgress:
        """Go through the archive; return how many clips there were, and what became of them."""
        if self._backfill.progress is None:
            self._become(backfill.model_copy(update={"progress": BackfillProgress(clips=await self._size())}))
        batches = 0
        while await self._batch():
            batches += 1
            if self._run_is_long_enough(batches):
                workflow.continue_as_new(self._backfill)
        return self.progress()

    @workflow.query
    def progress(self) -> BackfillProgress:
        """What the backfill has come to, over all its runs."""
        return self._backfill.progress or BackfillProgress()

    def _become(self, backfill: Backfill) -> None:
        self._backfill = backfill
        workflow.set_current_details(as_markdown(self.progress()))

    async def _batch(self) -> bool:
        """Deal with one batch; whether there are more."""
        page = await self._page()
        answers = Answers(answers=tuple(await asyncio.gather(*(self._answer(clip) for clip in page.clips))))
        await self._keep(answers)
        self._become(self._backfill.behind(page, answers))
        return bool(page.upto)

    async def _answer(self, archived: ArchivedClip) -> ArchivedAnswer:
        return ArchivedAnswer(name=archived.name, answer=await self._identified(archived))

    async def _identified(self, archived: ArchivedClip) -> SpeakerID | None:
        priority = Priority(
            priority_key=self._backfill.priority, fairness_key=archived.customer[:MAX_FAIRNESS_KEY]
        )
        try:
            return await identify(archived.clip, self._backfill.task_queue, priority)
        except ActivityError as error:
            if error.retry_state is RetryState.NON_RETRYABLE_FAILURE:
                return None
            raise

    async def _size(self) -> int:
        return await workflow.execute_activity_method(
            Archive.size, start_to_close_timeout=ARCHIVE_TIMEOUT, retry_policy=ARCHIVE_RETRIES
        )

    async def _page(self) -> ArchivePage:
        return await workflow.execute_activity_method(
            Archive.page,
            self._backfill.next_page(),
            start_to_close_timeout=ARCHIVE_TIMEOUT,
            retry_policy=ARCHIVE_RETRIES,
        )

    async def _keep(self, answers: Answers) -> None:
        await workflow.execute_activity_method(
            Archive.keep, answers, start_to_close_timeout=ARCHIVE_TIMEOUT, retry_policy=ARCHIVE_RETRIES
        )

    def _run_is_long_enough(self, batches: int) -> bool:
        limit = self._backfill.batches_per_run
        return workflow.info().is_continue_as_new_suggested() or (limit is not None and batches >= limit)


def as_markdown(progress: BackfillProgress) -> str:
    """The progress as Temporal's UI shows it beside the workflow."""
    return (
        f"{progress.done} of {progress.clips} clips: {progress.identified} identified, "
        f"{progress.refused} refused, {progress.unusable} unusable"
    )
