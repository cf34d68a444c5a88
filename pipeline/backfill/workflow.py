"""The workflow that makes calls again, a batch at a time, at a priority that production's calls go before."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import Priority, RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pipeline.backfill import files
    from pipeline.backfill.histories import recall
    from pipeline.backfill.messages import Answered, Backfill, Progress, Recalled, Recomputed, equal, json_of
    from pipeline.worker.probe import as_summary

STEP = timedelta(minutes=5)
SILENCE = timedelta(seconds=10)
"""A command that was killed is noticed after this, and the one that takes its place goes on."""
START_TO_CLOSE = timedelta(minutes=10)
ATTEMPTS = 5
LONGEST = 500
ROOM = 1_000_000
"""Bytes of inputs and outputs of one batch; Temporal takes 2 MB a payload, and base64 adds a third."""


class Steps:
    """The backfill's own activities, on the machine where its files are."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn(name="conduit.recall")
    async def recall(self, backfill: Backfill) -> list[Recalled | None]:
        """The next calls as they were made; fewer where they are large."""
        calls = await asyncio.to_thread(files.planned, backfill.plan, backfill.done, backfill.batch)
        return _fitting(await recall(self._client, backfill.header.algorithm, calls))

    @activity.defn(name="conduit.keep")
    async def keep(self, backfill: Backfill, answers: list[Recomputed | None]) -> int:
        """Write the answers behind those of the batches before; return how many there are now."""
        calls = await asyncio.to_thread(files.planned, backfill.plan, backfill.done, len(answers))
        lines = [
            answer or Recomputed(call=call, outcome="gone")
            for call, answer in zip(calls, answers, strict=True)
        ]
        await asyncio.to_thread(files.append, backfill.output, backfill.done, lines)
        return backfill.done + len(lines)


def _fitting(calls: list[Recalled | None]) -> list[Recalled | None]:
    room, count = ROOM, 0
    for call in calls:
        room -= len(call.input or b"") + len(call.output or b"") if call else 0
        if room < 0 and count:
            break
        count += 1
    return calls[:count]


@workflow.defn(name="conduit.backfill")
class Recompute:
    """Goes through a plan."""

    @workflow.init
    def __init__(self, backfill: Backfill, calls: int) -> None:
        self._backfill = backfill
        self._calls = calls
        self._show()

    @workflow.run
    async def run(self, backfill: Backfill, calls: int) -> Progress:
        """Make the calls that have no answer yet."""
        while self._backfill.done < calls:
            await self._batch()
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(args=[self._backfill, calls])
        return self.progress()

    @workflow.query
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(calls=self._calls, done=self._backfill.done)

    def _show(self) -> None:
        header = self._backfill.header
        workflow.set_current_details(
            f"{self._backfill.done} of {self._calls} calls that build `{header.build_id}` answered are made again"
        )

    async def _batch(self) -> None:
        recalled = await workflow.execute_activity_method(
            Steps.recall,
            self._backfill,
            start_to_close_timeout=STEP,
            heartbeat_timeout=SILENCE,
            summary="read calls",
        )
        answers = await asyncio.gather(*(self._again(call) for call in recalled))
        done = await workflow.execute_activity_method(
            Steps.keep,
            args=[self._backfill, answers],
            start_to_close_timeout=STEP,
            heartbeat_timeout=SILENCE,
            summary="keep answers",
        )
        self._backfill = self._backfill.model_copy(update={"done": done})
        self._show()

    async def _again(self, recalled: Recalled | None) -> Recomputed | None:
        if recalled is None:
            return None
        before = json_of(recalled.output)
        try:
            answer = await self._call(recalled)
        except ActivityError as error:
            return Recomputed(call=recalled.call, outcome="failed", before=before, why=_why(error))
        after = json_of(answer.payload.SerializeToString())
        outcome = "same" if equal(before, after) else "different"
        return Recomputed(call=recalled.call, outcome=outcome, before=before, after=after)

    async def _call(self, recalled: Recalled) -> RawValue:
        start_to_close, heartbeat = recalled.start_to_close, recalled.heartbeat
        answer: RawValue = await workflow.execute_activity(
            recalled.call.activity,
            args=[] if recalled.input is None else [RawValue(Payload.FromString(recalled.input))],
            task_queue=self._backfill.task_queue or self._backfill.header.algorithm,
            result_type=RawValue,
            start_to_close_timeout=timedelta(seconds=start_to_close) if start_to_close else START_TO_CLOSE,
            heartbeat_timeout=timedelta(seconds=heartbeat) if heartbeat else None,
            retry_policy=RetryPolicy(maximum_attempts=ATTEMPTS),
            priority=Priority(priority_key=self._backfill.priority, fairness_key=recalled.fairness_key),
            summary=self._summary(recalled.call),
        )
        return answer

    def _summary(self, call: Answered) -> str:
        """What people see of a call in Temporal's UI: whose it was; which build answers is the worker's to say."""
        header = self._backfill.header
        return as_summary(
            f"{header.algorithm}: {call.activity} again, which {header.build_id} answered for {call.workflow_id}"
        )


def _why(error: ActivityError) -> str:
    cause = error.cause
    kind = cause.type if isinstance(cause, ApplicationError) and cause.type else type(cause).__name__
    return f"{kind}: {cause}"[:LONGEST]
