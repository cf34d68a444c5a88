"""Run an archive through the algorithm, beside the interactive calls and behind them.

So many calls are under way at a time as a batch has, at a priority that interactive calls go before, and with a
fairness key for each customer, so that one customer's million clips do not hold up another's ten. Where the backfill
is stands in its own state: a worker that dies, a release or a roll-back of the algorithm costs nothing but the time.
"""

import asyncio
from dataclasses import dataclass
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
        PageRequest,
        SpeakerID,
    )

from workflows.identification import identify

ARCHIVE_TIMEOUT = timedelta(minutes=2)
ARCHIVE_RETRIES = RetryPolicy(maximum_interval=timedelta(seconds=30))
MAX_FAIRNESS_KEY = 64  # bytes


@dataclass
class _Batch:
    """A page and the calls that were begun for it."""

    page: ArchivePage
    answers: asyncio.Future[list[ArchivedAnswer]]


@workflow.defn
class ArchiveBackfillWorkflow:
    """Identifies the speaker of every clip of the archive."""

    @workflow.init
    def __init__(self, backfill: Backfill) -> None:
        self._seats = asyncio.Semaphore(backfill.batch)
        self._become(backfill)

    @workflow.run
    async def run(self, backfill: Backfill) -> BackfillProgress:
        """Go through the archive; return how many clips there were, and what became of them."""
        if self._backfill.progress is None:
            self._become(backfill.model_copy(update={"progress": BackfillProgress(clips=await self._size())}))
        await self._go_through()
        if self._backfill.after:
            workflow.continue_as_new(self._backfill)
        return self.progress()

    @workflow.query
    def progress(self) -> BackfillProgress:
        """What the backfill has come to, over all its runs."""
        return self._backfill.progress or BackfillProgress()

    def _become(self, backfill: Backfill) -> None:
        self._backfill = backfill
        workflow.set_current_details(as_markdown(self.progress()))

    async def _go_through(self) -> None:
        """Deal with pages until the archive ends, or this run is long enough.

        The next page's calls take the seats that the last ones of a page leave free, while answers are written.
        """
        batch: _Batch | None = await self._begun(self._backfill.after)
        batches = 1
        while batch is not None:
            upto = batch.page.upto
            following = await self._begun(upto) if upto and not self._run_is_long_enough(batches) else None
            answers = Answers(answers=tuple(await batch.answers))
            await self._keep(answers)
            self._become(self._backfill.behind(batch.page, answers))
            batch, batches = following, batches + 1

    async def _begun(self, after: str) -> "_Batch":
        """The page behind a name, with its calls under way."""
        page = await self._page(after)
        calls = asyncio.gather(*(self._answer(clip) for clip in page.clips))
        return _Batch(page, asyncio.ensure_future(calls))

    async def _answer(self, archived: ArchivedClip) -> ArchivedAnswer:
        async with self._seats:
            return ArchivedAnswer(name=archived.name, answer=await self._identified(archived))

    async def _identified(self, archived: ArchivedClip) -> SpeakerID | None:
        key = archived.customer.encode()[:MAX_FAIRNESS_KEY].decode(errors="ignore")
        priority = Priority(priority_key=self._backfill.priority, fairness_key=key)
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

    async def _page(self, after: str) -> ArchivePage:
        return await workflow.execute_activity_method(
            Archive.page,
            PageRequest(after=after, most=self._backfill.batch),
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
