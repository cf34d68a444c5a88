"""Long calls see promotions, a killed worker, a roll-back, a store that is away: their work is done once."""

import asyncio
import os
import signal
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowHandle

from pipeline.gates.probing import Target, probe
from pipeline.rollout.pending import of_workflows
from pipeline.worker.probe import ProbeRequest, SavedCall
from tests.integration.worker import long_running
from tests.integration.worker.conftest import Algorithm
from tests.integration.worker.long_running import (
    FIRST,
    FOURTH_THAT_FORGETS,
    INTERVAL,
    OWN,
    SECOND,
    THIRD,
    Done,
    LongCall,
    LongRunning,
    Work,
)
from tests.parts.versions import is_registered
from tests.parts.waiting import eventually
from tests.parts.worker_host import WorkerHost

StartHost = Callable[..., WorkerHost]
Handle = WorkflowHandle[LongRunning, Done]


@pytest.fixture
def start_version(start_host: StartHost, tmp_path: Path) -> StartHost:
    """Start a host of a build on one version of the long-running algorithm."""

    def start(build_id: str, version: str, **settings: object) -> WorkerHost:
        module = f"long_{build_id}"
        (tmp_path / f"{module}.py").write_text(long_running.algorithm(version))
        given = {"activities": (module,), "grace": 5.0, "handover_check": 0.2, **settings}
        return start_host(build_id, **given)

    return start


async def begin(algorithm: Algorithm, activity: str, work: Work, attempts: int = 0) -> Handle:
    call = LongCall(task_queue=algorithm.name, activity=activity, work=work, attempts=attempts)
    return await algorithm.client.start_workflow(
        LongRunning.run, call, id=f"{activity}-{uuid.uuid4().hex[:8]}", task_queue=algorithm.callers
    )


async def is_at_work(folder: Path, call: Handle, build_id: str, steps: int = 3) -> None:
    """Wait until the build has begun some steps of a call."""

    async def working() -> bool:
        return sum(step.build == build_id for step in long_running.steps(folder, call.id)) >= steps

    await eventually(working, within=60)


def point(link: Path, target: Path) -> None:
    """Make a link lead to something else, in one step."""
    new = link.with_name("link")
    new.symlink_to(target)
    new.replace(link)


async def is_registered_soon(algorithm: Algorithm, build_id: str) -> None:
    await eventually(lambda: is_registered(algorithm.client, algorithm.name, build_id))


async def unread_by(algorithm: Algorithm, build_id: str, call: Handle) -> str:
    """Why the build, which need not be live, could not go on from what the call has saved."""
    [pending] = (await call.describe()).raw_description.pending_activities
    saved = SavedCall(
        workflow_id=call.id,
        run_id=call.result_run_id or "",
        activity_id=pending.activity_id,
        activity=pending.activity_type.name,
    )
    target = Target(deployment=algorithm.name, build_id=build_id, task_queue=algorithm.name)
    answer = await probe(algorithm.client, target, ProbeRequest(saved=(saved,)), timedelta(seconds=60))
    assert answer
    return "".join(one.why for one in answer.unread)


async def has_failed(algorithm: Algorithm, call: Handle) -> str:
    """Wait until an attempt failed and not by hand-over; why."""

    async def failed() -> str:
        calls = await of_workflows(algorithm.client, algorithm.name, [(call.id, call.result_run_id or "")])
        types = ("UnreadableState", "StateTooLarge", "StoreAway")
        return "".join(one.failure for one in calls if one.failure.startswith(types))

    return await eventually(failed, within=60)


@pytest.mark.timeout(240)
async def test_a_long_call_sees_five_promotions_and_a_kill_and_its_work_is_done_once(
    algorithm: Algorithm, start_version: StartHost, tmp_path: Path
) -> None:
    versions = {"b1": FIRST, "b2": FIRST, "b3": SECOND, "b4": SECOND, "b5": THIRD, "b6": THIRD}
    work = Work()
    start_version("b1", FIRST)
    await algorithm.make_current("b1")
    calls = [await begin(algorithm, name, work) for name in ("add_in_thread", "add_on_loop")]
    stays = await begin(algorithm, "add_in_thread", Work(), attempts=1)
    for call in (*calls, stays):
        await is_at_work(tmp_path, call, "b1")

    for build_id, version in list(versions.items())[1:]:
        host = start_version(build_id, version)
        await algorithm.make_current(build_id)
        for call in calls:
            await is_at_work(tmp_path, call, build_id, steps=15)
        if build_id == "b3":
            os.kill(host.pid, signal.SIGKILL)
            start_version("b3", version)  # as its runtime would

    long_running.finish(tmp_path)
    for call in calls:
        done = await asyncio.wait_for(call.result(), 60)
        begun = long_running.steps(tmp_path, call.id)
        assert long_running.is_right(done)
        assert (done.build, done.migrated) == ("b6", [1, 2])
        assert {step.build for step in begun} == set(versions)
        assert {step.step for step in begun} == set(range(done.steps))
        assert 0 < long_running.seconds_repeated(begun) < INTERVAL + 1
        # What a hand-over ended was not begun again, only what the killed worker had not sent yet.
        assert {step.build for step in long_running.repeated(begun)} == {"b3"}
    assert (await stays.result()).build == "b1"
    assert not long_running.repeated(long_running.steps(tmp_path, stays.id))


async def test_state_that_a_build_cannot_read_waits_for_one_that_can(
    algorithm: Algorithm, start_version: StartHost, tmp_path: Path
) -> None:
    start_version("b1", FIRST)
    await algorithm.make_current("b1")
    call = await begin(algorithm, "add_in_thread", Work())
    await is_at_work(tmp_path, call, "b1")
    start_version("b2", FOURTH_THAT_FORGETS)
    await is_registered_soon(algorithm, "b2")
    assert "'sum' of version 1 cannot be read" in await unread_by(algorithm, "b2", call)
    await algorithm.make_current("b2")
    assert "'sum' of version 1 cannot be read" in await has_failed(algorithm, call)
    start_version("b3", SECOND)
    await is_registered_soon(algorithm, "b3")
    assert await unread_by(algorithm, "b3", call) == ""
    await algorithm.make_current("b3")
    await is_at_work(tmp_path, call, "b3")
    long_running.finish(tmp_path)
    done = await asyncio.wait_for(call.result(), 60)
    assert long_running.is_right(done)
    assert done.migrated == [1]
    assert not long_running.repeated(long_running.steps(tmp_path, call.id))


async def test_after_a_roll_back_a_call_goes_on_from_where_it_was_handed_over(
    algorithm: Algorithm, start_version: StartHost, tmp_path: Path
) -> None:
    start_version("b1", FIRST)
    await algorithm.make_current("b1")
    call = await begin(algorithm, "add_on_loop", Work())
    await is_at_work(tmp_path, call, "b1", steps=5)
    start_version("b2", SECOND)
    await algorithm.make_current("b2")
    await is_at_work(tmp_path, call, "b2", steps=5)
    await algorithm.make_current("b1")
    before = len(long_running.steps(tmp_path, call.id))
    await is_at_work(tmp_path, call, "b1", steps=before)
    long_running.finish(tmp_path)
    done = await asyncio.wait_for(call.result(), 60)
    assert long_running.is_right(done)
    assert (done.build, done.migrated) == ("b1", [])
    repeated = long_running.repeated(long_running.steps(tmp_path, call.id))
    assert {step.build for step in repeated} == {"b2"}


async def test_a_call_on_a_workers_own_queue_stays_where_alone_it_can_be(
    algorithm: Algorithm, start_version: StartHost, tmp_path: Path
) -> None:
    start_version("b1", FIRST + OWN, own_queue=True)
    await algorithm.make_current("b1")
    its_own = replace(algorithm, name=await algorithm.call("own"))
    call = await begin(its_own, "add_in_thread", Work())
    await is_at_work(tmp_path, call, "b1")
    start_version("b2", FIRST)
    await algorithm.make_current("b2")
    before = len(long_running.steps(tmp_path, call.id))
    await is_at_work(tmp_path, call, "b1", steps=before + 150)
    long_running.finish(tmp_path)
    done = await asyncio.wait_for(call.result(), 60)
    assert long_running.is_right(done)
    assert (done.build, done.attempt) == ("b1", 1)


async def test_large_state_is_in_the_store_and_a_worker_that_stops_leaves_it_to_another(
    algorithm: Algorithm, start_version: StartHost, tmp_path: Path
) -> None:
    store, kept, nothing = (tmp_path / name for name in ("store", "kept", "nothing"))
    kept.mkdir()
    nothing.touch()
    store.symlink_to(kept)
    old = start_version("b1", FIRST, checkpoint_store=str(store))
    await algorithm.make_current("b1")
    call = await begin(algorithm, "add_in_thread", Work(padding=3_000_000))
    await is_at_work(tmp_path, call, "b1", steps=5)
    new = start_version("b2", SECOND, checkpoint_store=str(store))
    await algorithm.make_current("b2")
    old.terminate()
    assert old.wait() == 0
    await is_at_work(tmp_path, call, "b2", steps=5)
    point(store, nothing)
    assert f"store {store} does not answer" in await has_failed(algorithm, call)
    point(store, kept)
    await is_at_work(tmp_path, call, "b2", steps=50)
    long_running.finish(tmp_path)
    done = await asyncio.wait_for(call.result(), 60)
    assert long_running.is_right(done)
    assert done.migrated == [1]
    assert not [s for s in long_running.repeated(long_running.steps(tmp_path, call.id)) if s.build == "b1"]
    assert new.process.poll() is None


async def test_state_that_temporal_would_not_take_is_told_to_the_caller(
    algorithm: Algorithm, start_version: StartHost
) -> None:
    start_version("b1", FIRST)
    await algorithm.make_current("b1")
    call = await begin(algorithm, "add_in_thread", Work(padding=3_000_000))
    told = await has_failed(algorithm, call)
    assert "state 'sum' has 3,000," in told
    assert "`checkpoint-store`" in told


def test_a_store_that_cannot_be_opened_ends_the_host_before_it_takes_calls(start_version: StartHost) -> None:
    host = start_version("b1", FIRST, checkpoint_store="nowhere://bucket")
    assert host.wait() == 1
    assert host.phase
    assert host.phase.error == "HostMisconfigured"
    assert "nowhere://bucket" in host.phase.why
