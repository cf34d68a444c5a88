"""Identify a stream of clips, for hours or months.

Every call writes its clip into the history, so a run's history is about as large as the clips it identified.
The server suggests to continue as new at 4 MB (some hundred calls of 30 kB). The next run begins with the
clips that wait and nothing else. Larger clips, or many more, belong in an object store: see `README.md`.
"""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, RetryState

with workflow.unsafe.imports_passed_through():
    from workflows.models import AudioClip, SpeakerID, SpeakerStream, StreamProgress

from workflows.identification import identify


@workflow.defn
class SpeakerStreamWorkflow:
    """Identifies clips in the order of their arrival, until the stream ends or `finish` is signalled."""

    @workflow.init
    def __init__(self, stream: SpeakerStream) -> None:
        self._calls = 0
        self._become(stream)

    @workflow.run
    async def run(self, stream: SpeakerStream) -> StreamProgress:
        """Identify clips; return how many there were, and of whom."""
        while await self._another_clip() and not self._run_is_long_enough():
            answer = await self._answer()
            self._become(self._stream.after(answer))
            self._calls += 1
            await self._pause()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._stream.done:
            workflow.continue_as_new(self._stream)
        return self._stream.report()

    @workflow.update
    def add(self, clip: AudioClip) -> StreamProgress:
        """Add a clip. An update, not a signal: where too many wait it is refused, and its sender slows."""
        self._become(self._stream.with_clip(clip))
        return self._stream.report()

    @add.validator
    def _check_that_it_may_wait(self, clip: AudioClip) -> None:
        if not self._stream.open:
            raise ApplicationError("the stream takes no more clips", type="StreamClosed")
        if not self._stream.has_room_for(clip):
            raise ApplicationError("too many clips wait: add this one again later", type="StreamFull")

    @workflow.signal
    def finish(self) -> None:
        """Take no more clips, identify those that wait without a pause, and end."""
        self._become(self._stream.closed())

    @workflow.query
    def progress(self) -> StreamProgress:
        """What the stream has come to, over all its runs."""
        return self._stream.report()

    def _become(self, stream: SpeakerStream) -> None:
        self._stream = stream
        workflow.set_current_details(as_markdown(stream.report()))

    async def _another_clip(self) -> bool:
        await workflow.wait_condition(lambda: bool(self._stream.clips) or self._stream.done)
        return not self._stream.done

    def _run_is_long_enough(self) -> bool:
        limit = self._stream.calls_per_run
        return workflow.info().is_continue_as_new_suggested() or (limit is not None and self._calls >= limit)

    async def _answer(self) -> SpeakerID | None:
        """The answer to the first clip that waits, or None where the algorithm refused it for good."""
        try:
            return await identify(self._stream.clips[0], self._stream.task_queue)
        except ActivityError as error:
            if error.retry_state is RetryState.NON_RETRYABLE_FAILURE:
                return None
            raise

    async def _pause(self) -> None:
        if self._stream.interval and not self._stream.done:
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: not self._stream.interval, timeout=timedelta(seconds=self._stream.interval)
                )


def as_markdown(progress: StreamProgress) -> str:
    """The progress as Temporal's UI shows it beside the workflow."""
    by_count = sorted(progress.speakers.items(), key=lambda item: (-item[1], item[0]))
    speakers = [f"- {_code(name)}: {clips}" for name, clips in by_count]
    others = [f"- others: {progress.other_speakers}"] if progress.other_speakers else []
    figures = f"{progress.identified} identified, {progress.refused} refused, {progress.waiting} waiting"
    return "\n".join([figures, "", *speakers, *others])


def _code(name: str) -> str:
    """A name that an algorithm made up, where it can be nothing but text."""
    return "`" + "".join(char if char.isprintable() and char != "`" else "?" for char in name) + "`"
