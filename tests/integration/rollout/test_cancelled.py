"""A release that is cancelled, as by Ctrl-C: what it had under way does not outlive what puts the routing back.

The workflow and the server are real, the steps are not.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import CancelledError
from temporalio.worker import Worker

from pipeline import errors
from pipeline.errors import NoLiveWorker
from pipeline.gates import GateReport, Verdict
from pipeline.options.release import ReleaseOptions, ramp_step
from pipeline.rollout.faults import restored
from pipeline.rollout.follow import Handle
from pipeline.rollout.messages import Before, Counters, HealReport, Observed, Order, ReleaseRequest, Retired
from pipeline.rollout.plan import Judged, Stage
from pipeline.rollout.serving import HEARTBEAT, RUNNER, Reporting
from pipeline.rollout.workflow import Rollout
from tests.parts.waiting import eventually
from tests.unit.rollout.test_diagnosis import BUILD

OPTIONS = ReleaseOptions(steps=(ramp_step(50, 1),))


class Steps:
    """Stands in for all steps; one of them hangs until it is let go or cancelled, and one may fail."""

    def __init__(
        self, hangs: str = "", verdict: Verdict = Verdict.PASS, refuses: str = "", versions: int = 0
    ) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.go_on = asyncio.Event()
        self._hangs = hangs
        self._verdict = verdict
        self._refuses = refuses
        self._versions = versions

    @activity.defn(dynamic=True)
    async def step(self, _: Sequence[RawValue]) -> object:
        name = activity.info().activity_type.removeprefix("conduit.")
        self.begun.append(name)
        try:
            if name == self._hangs:
                await self.go_on.wait()
            if name == self._refuses:
                raise NoLiveWorker("The build before has no live worker.")
            return self._answer(name)
        finally:
            self.ended.append(name)

    def _answer(self, name: str) -> object:
        judged = Judged(stage=Stage.RAMP, verdict=self._verdict, reason="so it is")
        return {
            "routing": Before(current="old-1", was="old-1", is_used=True, versions=self._versions),
            "gate": GateReport(verdict=Verdict.PASS),
            "counters": Counters(),
            "observe": Observed(judged=judged),
            "propagate": True,
            "heal": HealReport(),
            "retire": Retired(),
        }.get(name)


@asynccontextmanager
async def released(client: Client, steps: Steps) -> AsyncIterator[Handle]:
    queue = str(uuid.uuid4())
    build = BUILD.model_copy(update={"release": OPTIONS})
    request = ReleaseRequest(build=build, replicas=1, start_timeout=60, by="me")
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Rollout],
        activities=[steps.step],
        interceptors=[Reporting()],
        workflow_runner=RUNNER,
        max_heartbeat_throttle_interval=timedelta(seconds=HEARTBEAT),
    ):
        yield await client.start_workflow(Rollout.run, request, id=queue, task_queue=queue)


async def until_begun(steps: Steps, name: str) -> None:
    async def is_so() -> bool:
        return name in steps.begun

    await eventually(is_so)


async def events(handle: Handle) -> list[int]:
    return [event.event_type async for event in handle.fetch_history_events()]


async def until_told(handle: Handle) -> None:
    """Wait until the workflow has taken in that it is cancelled."""

    async def is_so() -> bool:
        seen = await events(handle)
        asked = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
        since = seen[seen.index(asked) :] if asked in seen else []
        return EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in since

    await eventually(is_so)


@pytest.mark.parametrize("name", ["start", "gate", "ramp", "route"])
async def test_a_step_that_was_under_way_ends_before_routing_is_put_back(
    temporal_client: Client, name: str
) -> None:
    steps = Steps(hangs=name)
    async with released(temporal_client, steps) as handle:
        await until_begun(steps, name)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    assert name in steps.ended[: steps.ended.index("undo")]
    assert steps.ended[-1] == "stop"


async def test_no_worker_is_started_after_making_room_was_cut_short(temporal_client: Client) -> None:
    steps = Steps(hangs="retire", versions=99)
    async with released(temporal_client, steps) as handle:
        await until_begun(steps, "retire")
        await handle.signal(Rollout.abort, Order(by="me", reason="not now"))
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
    assert isinstance(restored(ended.value), errors.Aborted)
    assert "start" not in steps.begun


@pytest.mark.parametrize("name", ["undo", "quarantine", "heal"])
async def test_going_back_is_not_cut_short(temporal_client: Client, name: str) -> None:
    steps = Steps(hangs=name, verdict=Verdict.FAIL)
    async with released(temporal_client, steps) as handle:
        await until_begun(steps, name)
        await handle.cancel()
        await until_told(handle)
        steps.go_on.set()
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
        assert EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED not in await events(handle)
    assert isinstance(restored(ended.value), errors.BuildTurnedBad)
    assert [each for each in steps.ended if each in ("undo", "quarantine", "heal")] == [
        "undo",
        "quarantine",
        "heal",
    ]


async def test_what_is_live_stays_live(temporal_client: Client) -> None:
    steps = Steps(hangs="retire")
    async with released(temporal_client, steps) as handle:
        await until_begun(steps, "retire")
        await handle.cancel()
        routed = await handle.result()
    assert routed.build_id == BUILD.build_id
    assert "undo" not in steps.begun


async def test_a_release_that_cannot_go_back_says_so(temporal_client: Client) -> None:
    steps = Steps(verdict=Verdict.FAIL, refuses="undo")
    async with released(temporal_client, steps) as handle:
        with pytest.raises(WorkflowFailureError) as ended:
            await handle.result()
    told = restored(ended.value)
    assert isinstance(told, errors.BuildTurnedBad)
    assert "The build before has no live worker." in told.why
    assert "Calls may still go to this build" in told.now
