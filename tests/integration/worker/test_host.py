import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflowservice.v1 import ListWorkersRequest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError

from pipeline.deployments import Deployments
from pipeline.rollout.pending import of_workflows
from pipeline.worker.settings import HostSettings, queues_of
from tests.integration.worker.conftest import Algorithm
from tests.integration.worker.research import CALLS
from tests.parts.ports import free_port
from tests.parts.slow_line import slow_line
from tests.parts.temporal import DevServer
from tests.parts.versions import make_current
from tests.parts.waiting import eventually
from tests.parts.worker_host import WorkerHost, worker_host

StartHost = Callable[..., WorkerHost]


async def test_sync_activities_run_on_threads_and_async_ones_on_the_loop(
    algorithm: Algorithm, start_host: StartHost
) -> None:
    host = start_host("b1")
    await algorithm.make_current("b1")
    in_thread = await algorithm.call("in_thread", {"number": 2})
    on_loop = await algorithm.call("on_loop", {"number": 3})
    assert (in_thread["doubled"], in_thread["pid"]) == (4, host.pid)
    assert in_thread["thread"].startswith("activity")
    assert (on_loop["doubled"], on_loop["thread"]) == (6, "MainThread")


async def test_setup_ran_before_the_first_call(algorithm: Algorithm, start_host: StartHost) -> None:
    start_host("b1", setup="calls:load")
    await algorithm.make_current("b1")
    assert await algorithm.call("was_loaded") is True


async def test_async_setup_runs_on_the_loop_of_the_activities(
    algorithm: Algorithm, start_host: StartHost
) -> None:
    start_host("b1", setup="calls:load_async")
    await algorithm.make_current("b1")
    assert await algorithm.call("same_loop") is True


async def test_heartbeats_name_the_version_and_the_identity(
    algorithm: Algorithm, start_host: StartHost
) -> None:
    host = start_host("b1")
    await algorithm.make_current("b1")

    async def beating() -> Any:
        request = ListWorkersRequest(namespace="default", query=f'DeploymentName="{algorithm.name}"')
        listed = await algorithm.client.workflow_service.list_workers(request)
        return [worker.worker_heartbeat for worker in listed.workers_info]

    [heartbeat] = await eventually(beating)
    assert heartbeat.deployment_version.build_id == "b1"
    assert heartbeat.task_queue == algorithm.name
    assert heartbeat.worker_identity == f"{algorithm.name}/b1@{socket.gethostname()}:{host.pid}"


async def test_a_batch_queue_has_slots_and_a_version_of_its_own(
    algorithm: Algorithm, start_host: StartHost
) -> None:
    start_host("b1", max_concurrent_activities=4, batch_slots=1)
    deployments = Deployments(algorithm.client)

    own, batch = queues_of(algorithm.name)

    async def have_their_slots() -> bool:
        found = [worker for name in (own, batch) for worker in await deployments.workers(name)]
        told = [(worker.task_queue, worker.build_id, worker.slots) for worker in found]
        return told == [(own, "b1", 3), (batch, "b1", 1)]

    await eventually(have_their_slots)  # the first heartbeat may be of a moment before they are counted


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([{"number": "seven", "tags": ["a", 1]}], ["$.number: ", "$.tags[1]: "]),
        ([{}], ["$.number: Field required"]),
        ([], ["takes 1 and was called with 0 arguments"]),
        ([{"number": 1}, 2], ["takes 1 and was called with 2 arguments"]),
    ],
)
async def test_a_payload_that_does_not_fit_fails_the_call_for_good(
    algorithm: Algorithm, start_host: StartHost, arguments: list[Any], told: list[str]
) -> None:
    host = start_host("b1")
    await algorithm.make_current("b1")
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(algorithm.call("in_thread", *arguments), 30)
    error = failed.value.cause
    assert isinstance(error, ActivityError)
    assert isinstance(error.cause, ApplicationError)
    assert error.cause.type == "PayloadValidationError"
    assert error.cause.non_retryable
    assert "'in_thread'" in error.cause.message
    for text in told:
        assert text in error.cause.message
    assert "seven" not in str(error.cause)
    assert "seven" not in host.log


async def test_an_activity_that_wraps_a_validation_error_of_its_own_is_retried(
    algorithm: Algorithm, start_host: StartHost
) -> None:
    start_host("b1")
    await algorithm.make_current("b1")
    assert (await algorithm.call("picky", {"number": 4}))["doubled"] == 8


@pytest.mark.parametrize("activity", ["count_in_thread", "count_on_loop"])
async def test_after_the_grace_a_call_goes_on_elsewhere_from_its_last_heartbeat(
    algorithm: Algorithm, start_host: StartHost, tmp_path: Path, activity: str
) -> None:
    old = start_host("old", grace=0.5)
    await algorithm.make_current("old")
    call = await algorithm.start(activity, {"number": 0})
    counted = await _counted(tmp_path)
    start_host("new")
    await algorithm.make_current("new")
    old.terminate()
    resumed = await call.result()
    assert resumed["pid"] != old.pid
    assert resumed["doubled"] >= 2 * counted
    assert old.wait() == 0
    last = await _counted(tmp_path)
    assert resumed["doubled"] in (
        2 * last,
        2 * (last - 1),
    )  # cancelled after its heartbeat, or just before it


async def test_a_call_that_ends_within_the_grace_is_not_disturbed(
    algorithm: Algorithm, start_host: StartHost, tmp_path: Path
) -> None:
    host = start_host("b1", grace=60)
    await algorithm.make_current("b1")
    call = await algorithm.start("brief", {"number": 0})
    await _counted(tmp_path)
    host.terminate()
    answer = await call.result()
    assert (answer["pid"], answer["doubled"]) == (host.pid, 2)
    assert host.wait() == 0
    assert host.phase
    assert host.phase.phase == "stopped"
    assert "Traceback" not in host.log


async def test_a_call_that_is_on_its_way_to_a_worker_that_stops_is_not_lost(
    algorithm: Algorithm, temporal_server: DevServer, tmp_path: Path
) -> None:
    """Without `LAST_POLL` it is started for ever: the server gave it away, and no worker has it."""
    (tmp_path / "calls.py").write_text(CALLS)
    settings = HostSettings(task_queue=algorithm.name, activities=("calls",))
    async with slow_line(temporal_server.address) as line:
        environment = {**temporal_server.environment, "TEMPORAL_ADDRESS": line.address}
        with worker_host(tmp_path, settings, build_id="b1", environment=environment) as host:
            await algorithm.make_current("b1")
            await algorithm.call("on_loop", {"number": 1})
            line.hold()
            call = await algorithm.start("on_loop", {"number": 2})
            await eventually(lambda: _is_started(call))
            host.terminate()
            await asyncio.to_thread(host.wait_for, "stopping")
            line.release()
            answer = await asyncio.wait_for(call.result(), 60)
            assert (answer["pid"], answer["doubled"]) == (host.pid, 4)
            assert await asyncio.to_thread(host.wait) == 0


async def test_a_failure_that_the_server_wraps_for_its_size_keeps_its_kind(
    algorithm: Algorithm, start_host: StartHost
) -> None:
    start_host("b1")
    await algorithm.make_current("b1")
    call = await algorithm.start("verbose", {"number": 1})

    async def told() -> str:
        calls = await of_workflows(algorithm.client, algorithm.name, [(call.id, call.result_run_id or "")])
        return "".join(one.failure for one in calls)

    assert (await eventually(told)).startswith("Verbose: no no no ")
    [pending] = (await call.describe()).raw_description.pending_activities
    assert pending.last_failure.message == "Failure exceeds size limit."


async def _is_started(call: WorkflowHandle[Any, Any]) -> bool:
    [pending] = (await call.describe()).raw_description.pending_activities or [None]
    return pending is not None and pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


async def test_a_thread_that_ignores_cancellation_neither_keeps_its_call_nor_the_process(
    algorithm: Algorithm, start_host: StartHost, tmp_path: Path
) -> None:
    old = start_host("old", grace=0.2)
    await algorithm.make_current("old")
    call = await algorithm.start("deaf", {"number": 5})
    await _counted(tmp_path)
    start_host("new")
    await algorithm.make_current("new")
    old.terminate()
    assert old.wait(within=15) == 0
    assert (await call.result())["pid"] != old.pid
    assert old.phase
    assert old.phase.why == "1 calls ignored their cancellation"


@pytest.mark.parametrize("activity", ["deaf_beside_loop", "deaf_on_loop"])
async def test_what_an_async_activity_leaves_running_does_not_keep_the_process(
    algorithm: Algorithm, start_host: StartHost, tmp_path: Path, activity: str
) -> None:
    host = start_host("b1", grace=0.2)
    await algorithm.make_current("b1")
    await algorithm.start(activity, {"number": 5})
    await _counted(tmp_path)
    host.terminate()
    assert await asyncio.to_thread(host.wait, 15) == 0


async def test_a_queue_that_fails_leaves_the_calls_of_the_other_their_grace(
    algorithm: Algorithm, start_host: StartHost, tmp_path: Path
) -> None:
    host = start_host("b1", grace=20, max_concurrent_activities=4, batch_slots=1)
    own, batch = queues_of(algorithm.name)
    for name in (own, batch):
        await make_current(algorithm.client, name, "b1")
    call = await replace(algorithm, name=batch).start("brief", {"number": 3})
    await _counted(tmp_path)
    await algorithm.start("pool_broken", {"number": 1})
    answer = await asyncio.wait_for(call.result(), 60)
    assert (answer["pid"], answer["doubled"]) == (host.pid, 2)
    assert await asyncio.to_thread(host.wait) == 1


async def test_an_error_that_ends_the_sdks_worker_ends_the_host(
    algorithm: Algorithm, start_host: StartHost
) -> None:
    host = start_host("b1", grace=0)
    await algorithm.make_current("b1")
    await algorithm.start("pool_broken", {"number": 1})
    assert await asyncio.to_thread(host.wait) == 1
    assert host.phase
    assert (host.phase.phase, host.phase.error) == ("failed", "WorkerDied")
    assert "BrokenProcessPool" in host.log


async def test_research_code_that_exits_ends_the_host_whatever_its_threads_do(
    algorithm: Algorithm, start_host: StartHost, tmp_path: Path
) -> None:
    host = start_host("b1")
    await algorithm.make_current("b1")
    await algorithm.start("deaf", {"number": 1})
    await _counted(tmp_path)
    await algorithm.start("exits", {"number": 1})
    assert await asyncio.to_thread(host.wait, 15) == 1
    assert host.phase
    assert (host.phase.error, host.phase.why) == ("WorkerDied", "the worker failed: SystemExit: 3")


def test_a_setup_that_raises_ends_the_host_with_its_traceback(start_host: StartHost, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def load():\n    raise OSError('no such model')\n")
    host = start_host("b1", setup="broken:load")
    assert host.wait() == 1
    assert host.phase
    assert (host.phase.phase, host.phase.error) == ("failed", "SetupFailed")
    assert "OSError: no such model" in host.phase.why
    assert 'broken.py", line 2, in load' in host.log


def test_a_setup_that_hangs_shows_as_the_phase_and_ends_on_sigterm(
    start_host: StartHost, tmp_path: Path
) -> None:
    (tmp_path / "hanging.py").write_text("import time\ndef load():\n    time.sleep(600)\n")
    host = start_host("b1", setup="hanging:load")
    host.wait_for("setup")
    host.terminate()
    assert host.wait() == 128 + 15
    assert host.phase
    assert host.phase.why == "SIGTERM before the worker polled"


def test_a_module_that_does_not_import_ends_the_host(start_host: StartHost, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    host = start_host("b1", activities=("broken",))
    assert host.wait() == 1
    assert host.phase
    assert (host.phase.phase, host.phase.error) == ("failed", "ImportFailed")
    assert "nothing_of_this_name" in host.phase.why


async def test_the_host_waits_for_a_server_that_is_late(temporal_server: DevServer, tmp_path: Path) -> None:
    late = DevServer(temporal_server.binary, tmp_path)
    (tmp_path / "one.py").write_text(ONE)
    settings = HostSettings(task_queue="late", activities=("one",))
    with worker_host(tmp_path, settings, build_id="b1", environment=late.environment) as host:
        host.wait_for("connecting")
        with late:
            host.wait_for("polling")
            host.terminate()
            assert host.wait() == 0


def test_an_address_where_nobody_answers_is_named(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "one.py").write_text(ONE)
    settings = HostSettings(task_queue="nowhere", activities=("one",), connect_timeout=1)
    environment = {"TEMPORAL_ADDRESS": address}
    with worker_host(tmp_path, settings, build_id="b1", environment=environment) as host:
        assert host.wait() == 1
        assert host.phase
        assert (host.phase.phase, host.phase.error) == ("failed", "TemporalUnreachable")
        assert address in host.phase.why


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TEMPORAL_PROFILE", "nobody-wrote-it"),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nowhere/client.pem"),
        ("TEMPORAL_ADDRESS", "not an address:7233"),
    ],
)
def test_settings_of_the_connection_that_cannot_be_used_are_told_at_once(
    tmp_path: Path, name: str, value: str
) -> None:
    (tmp_path / "one.py").write_text(ONE)
    settings = HostSettings(task_queue="nowhere", activities=("one",))
    with worker_host(tmp_path, settings, build_id="b1", environment={name: value}) as host:
        assert host.wait() == 1
        assert host.phase
        assert host.phase.error == "HostMisconfigured"
        assert "Traceback" not in host.log


def test_a_namespace_that_does_not_exist_is_a_refusal(temporal_server: DevServer, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(ONE)
    settings = HostSettings(task_queue="nowhere", activities=("one",))
    environment = {**temporal_server.environment, "TEMPORAL_NAMESPACE": "elsewhere"}
    with worker_host(tmp_path, settings, build_id="b1", environment=environment) as host:
        assert host.wait() == 1
        assert host.phase
        assert host.phase.error == "TemporalRefused"


def test_a_host_without_a_build_id_says_which_variable_is_missing(
    temporal_server: DevServer, tmp_path: Path
) -> None:
    settings = HostSettings(task_queue="nobody", activities=("one",))
    with worker_host(tmp_path, settings, build_id="", environment=temporal_server.environment) as host:
        assert host.wait() == 1
        assert host.phase
        assert host.phase.error == "HostMisconfigured"
        assert "TEMPORAL_WORKER_BUILD_ID" in host.phase.why


ONE = """
from temporalio import activity
@activity.defn
def one() -> int:
    return 1
"""


async def _counted(folder: Path) -> int:
    async def written() -> str | None:
        file = folder / "counted"
        return file.read_text() if file.exists() else None

    return int(await eventually(written))
