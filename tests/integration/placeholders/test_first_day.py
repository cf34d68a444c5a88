"""A team's first day: an engineer's workflows run before the algorithm exists, and go on with the real one."""

import asyncio
import importlib
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from pipeline.errors import ContractBroken, NotAContract, PlaceholderRefused, UnfitAnswers
from pipeline.models import is_placeholder
from tests.parts.conduit import Conduit, research_repo
from tests.parts.repos import FILES
from tests.parts.temporal import DevServer
from tests.parts.waiting import eventually

WORKFLOWS = 200
DECLARED = '''
from pydantic import BaseModel, Field


class AudioClip(BaseModel):
    wav: bytes


class SpeakerID(BaseModel):
    speaker: str
    confidence: float = Field(ge=0, le=1)


def identify_speaker(clip: AudioClip) -> SpeakerID:
    """Tell who speaks in a clip."""
    ...
'''
# What a researcher writes, without having seen the engineer's file.
REAL = '''
from pydantic import BaseModel, Field
from temporalio import activity


class AudioClip(BaseModel):
    wav: bytes


class SpeakerID(BaseModel):
    speaker: str
    confidence: float = Field(ge=0, le=1)


@activity.defn
def identify_speaker(clip: AudioClip) -> SpeakerID:
    """Tell who speaks in a clip."""
    return SpeakerID(speaker=f"speaker of {clip.wav.decode()}", confidence=0.9)
'''
# What another one writes, who calls it otherwise than the engineer.
MISNAMED = REAL.replace("speaker: str", "name: str").replace("speaker=f", "name=f")
ENGINEERS = """
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import {stubs} as stubs

ANSWERED: set[tuple[str, int]] = set()  # for the test, which runs in the same process


@workflow.defn
class Identify:
    def __init__(self) -> None:
        self._wanted = 1

    @workflow.run
    async def run(self, clip: stubs.AudioClip, calls: int) -> list[stubs.SpeakerID]:
        answers: list[stubs.SpeakerID] = []
        while len(answers) < calls:
            await workflow.wait_condition(lambda: self._wanted > len(answers))
            answers.append(await stubs.identify_speaker(clip))
            ANSWERED.add((workflow.info().workflow_id, len(answers)))
        return answers

    @workflow.signal
    def again(self) -> None:
        self._wanted += 1
"""

pytestmark = pytest.mark.timeout(600)  # four hundred calls take long on a loaded machine

Handle = WorkflowHandle[Any, Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def conduit(home: Path, temporal_server: DevServer) -> Iterator[Conduit]:
    conduit = Conduit(home=home, environment=temporal_server.environment)
    yield conduit
    conduit.clean_up()


@pytest.fixture
def algorithm() -> str:
    return f"speaker-id-{uuid.uuid4().hex[:8]}"


def declare(folder: Path) -> Path:
    """What the engineer writes."""
    file = folder / "speaker_id.py"
    file.write_text(DECLARED)
    return file


@pytest.fixture
def engineers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ModuleType]]:
    """Filled by `typed_calls`: the engineer's modules, which are forgotten after the test."""
    modules: list[ModuleType] = []
    monkeypatch.syspath_prepend(tmp_path)
    yield modules
    for module in modules:
        sys.modules.pop(module.__name__, None)


def typed_calls(conduit: Conduit, folder: Path, algorithm: str, modules: list[ModuleType]) -> ModuleType:
    """The engineer's workflow, over stubs that were made from the live contract."""
    stubs, workflows = f"stubs_{uuid.uuid4().hex}", f"workflows_{uuid.uuid4().hex}"
    conduit.good("stubs", algorithm, "--output", str(folder / f"{stubs}.py"))
    (folder / f"{workflows}.py").write_text(ENGINEERS.format(stubs=stubs))
    importlib.invalidate_caches()
    modules += [importlib.import_module(workflows), sys.modules[stubs]]
    return modules[0]


@asynccontextmanager
async def running(
    client: Client, module: ModuleType, *, calls: int
) -> AsyncIterator[tuple[str, list[Handle]]]:
    """Two hundred of the engineer's workflows, and their worker; yields its queue too."""
    queue = f"engineers-{uuid.uuid4()}"
    runner = UnsandboxedWorkflowRunner()  # that stubs work in the sandbox has a test of its own
    async with Worker(client, task_queue=queue, workflows=[module.Identify], workflow_runner=runner):
        yield (
            queue,
            list(
                await asyncio.gather(
                    *(
                        client.start_workflow(
                            module.Identify.run,
                            args=[module.stubs.AudioClip(wav=f"clip {number}".encode()), calls],
                            id=f"{queue}-{number}",
                            task_queue=queue,
                        )
                        for number in range(WORKFLOWS)
                    )
                )
            ),
        )


def research(folder: Path, algorithm: str, activities: str = REAL) -> str:
    """A researcher's repo."""
    release = 'test = []\n[tool.conduit.release]\nwatch = "0s"\n'
    return str(research_repo(folder, algorithm, {**FILES, "activities.py": activities}, release).folder)


async def builds(handle: Handle) -> list[str]:
    """The builds that answered a workflow's calls, in their order."""
    found = []
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            found.append(event.activity_task_started_event_attributes.identity.split("/")[1].split("@")[0])
    return found


async def all_were_answered(module: ModuleType, *, calls: int) -> None:
    """Wait until so many calls of every workflow have their answers."""

    async def answered() -> bool:
        return len(module.ANSWERED) == calls * WORKFLOWS

    await eventually(answered, within=240)


async def all_finished_as_they_began(client: Client, queue: str, handles: list[Handle]) -> list[Any]:
    """The answers of all; no workflow was restarted, reset or continued in another run, and none failed."""
    results = await asyncio.gather(*(handle.result(follow_runs=False) for handle in handles))
    begun = {handle.first_execution_run_id for handle in handles}

    async def ended() -> dict[str, WorkflowExecutionStatus | None] | None:
        query = f"TaskQueue = '{queue}' AND ExecutionStatus != 'Running'"
        found = {run.run_id: run.status async for run in client.list_workflows(query)}
        return found if len(found) >= WORKFLOWS else None

    assert await eventually(ended) == dict.fromkeys(begun, WorkflowExecutionStatus.COMPLETED)
    return results


async def refused(conduit: Conduit, algorithm: str, folder: Path, current: str | None) -> None:
    """Deliver a real build that breaks the declared contract: nothing changes."""
    repo = research(folder, algorithm, MISNAMED)
    outcome = await asyncio.to_thread(conduit, "deliver", "--project", repo, "--json")
    assert outcome.code == ContractBroken.exit_code, outcome.err
    assert "speaker" in outcome.json["log"]
    status = conduit.status(algorithm)
    assert (status["current"] or {}).get("build_id") == current
    assert status["ramping"] is None


def real_answers() -> list[str]:
    return [f"speaker of clip {number}" for number in range(WORKFLOWS)]


async def test_running_workflows_go_on_with_the_real_algorithm(
    conduit: Conduit, algorithm: str, tmp_path: Path, engineers: list[ModuleType], temporal_client: Client
) -> None:
    declaration = declare(tmp_path)
    placed = (
        await asyncio.to_thread(
            conduit.good, "placeholder", algorithm, "--contract", str(declaration), "--json"
        )
    ).json
    assert is_placeholder(placed["build_id"])
    assert placed["answers"] == {"identify_speaker": "generated"}
    module = await asyncio.to_thread(typed_calls, conduit, tmp_path, algorithm, engineers)

    async with running(temporal_client, module, calls=3) as (queue, handles):
        await all_were_answered(module, calls=1)
        await refused(conduit, algorithm, tmp_path / "misnamed", placed["build_id"])
        await asyncio.gather(*(handle.signal("again") for handle in handles))
        await all_were_answered(module, calls=2)
        repo = research(tmp_path / "research", algorithm)
        done = await asyncio.to_thread(conduit.good, "deliver", "--project", repo, "--json")
        assert (done.json["decision"], done.json["previous"]) == ("promoted", placed["build_id"])
        await asyncio.gather(*(handle.signal("again") for handle in handles))
        results = await all_finished_as_they_began(temporal_client, queue, handles)

    assert [third.speaker for _, _, third in results] == real_answers()
    for first, second, _ in results:
        assert first == second
        assert first.speaker not in real_answers()
    for handle in handles[:: WORKFLOWS // 3]:
        assert await builds(handle) == [placed["build_id"]] * 2 + [done.json["build_id"]]
    outcome = conduit("rollback", algorithm)
    assert outcome.code == 61, outcome.err  # there is a placeholder only, which is not gone back to unasked


async def test_held_calls_wait_for_the_real_algorithm(
    conduit: Conduit, algorithm: str, tmp_path: Path, engineers: list[ModuleType], temporal_client: Client
) -> None:
    declaration = declare(tmp_path)
    command = ("placeholder", algorithm, "--contract", str(declaration), "--hold", "--json")
    placed = (await asyncio.to_thread(conduit.good, *command)).json
    assert placed["decision"] == "held"
    assert conduit.alive(algorithm) == {}
    module = await asyncio.to_thread(typed_calls, conduit, tmp_path, algorithm, engineers)

    async with running(temporal_client, module, calls=2) as (queue, handles):
        await asyncio.gather(*(handle.signal("again") for handle in handles))
        status = (await asyncio.to_thread(conduit.good, "status", algorithm, "--json")).json
        assert status["current"] is None
        assert [build["build_id"] for build in status["builds"]] == [placed["build_id"]]
        await refused(conduit, algorithm, tmp_path / "misnamed", None)
        repo = research(tmp_path / "research", algorithm)
        done = await asyncio.to_thread(conduit.good, "deliver", "--project", repo, "--json")
        results = await all_finished_as_they_began(temporal_client, queue, handles)

    for answers in zip(*results, strict=True):
        assert [answer.speaker for answer in answers] == real_answers()
    for handle in handles[:: WORKFLOWS // 3]:
        assert await builds(handle) == [done.json["build_id"]] * 2
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                assert event.activity_task_started_event_attributes.attempt == 1
    actions = [event["action"] for event in conduit.good("history", algorithm, "--json").json]
    assert actions == ["release", "release", "hold"]  # of which one was refused


def test_bad_input_has_exit_codes_of_its_own_and_changes_nothing(
    conduit: Conduit, algorithm: str, tmp_path: Path
) -> None:
    declaration = declare(tmp_path)
    start = ("placeholder", algorithm, "--json", "--contract")
    not_one = tmp_path / "not_one.json"
    not_one.write_text('{"activities": "none"}')
    unknown = tmp_path / "examples.json"
    unknown.write_text('{"recognise": []}')
    for code, arguments in (
        (NotAContract.exit_code, (*start, str(not_one))),
        (UnfitAnswers.exit_code, (*start, str(declaration), "--examples", str(unknown))),
        (PlaceholderRefused.exit_code, (*start, str(declaration), "--in-production", "elsewhere")),
    ):
        outcome = conduit(*arguments)
        assert (outcome.code, outcome.json["exit_code"]) == (code, code), outcome.err
        assert outcome.json["now"]
    assert conduit("status", algorithm).code == 42
