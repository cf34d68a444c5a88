"""Commits that the gates of a delivery stop: production goes on, and the build is quarantined with the reason."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from pipeline.errors import ContractBroken, GateFailed, InvalidExamples
from tests.integration.route.calling import Caller, serving_caller
from tests.parts.conduit import Conduit, Outcome, research_repo
from tests.parts.repos import ACTIVITY, FILES
from tests.parts.temporal import DevServer

NO_TESTS = "test = []\n"
EXAMPLE = {"input": {"samples": [1.0, 2.0]}, "output": {"peak": 2.0}}
WRONG = ACTIVITY.replace("max(clip.samples)", "min(clip.samples)")
SLOW = ACTIVITY.replace("    return", "    __import__('time').sleep(0.2)\n    return")
BROKEN = ACTIVITY.replace("samples: list[float]", "samples: list[float]\n    rate: int")
STRICT = f"{NO_TESTS}gates.replay.max-differences = 0\n"


@pytest.fixture
def conduit(home: Path, temporal_server: DevServer) -> Iterator[Conduit]:
    conduit = Conduit(home=home, environment=temporal_server.environment)
    yield conduit
    conduit.clean_up()


def is_stopped(conduit: Conduit, algorithm: str, outcome: Outcome, live: str, code: int) -> Any:
    """Production is as it was, and the latest build is quarantined; returns the error."""
    assert outcome.code == code, outcome.err
    found = conduit.status(algorithm)
    assert (found["current"]["build_id"], found["ramping"]) == (live, None)
    assert conduit.alive(algorithm).keys() == {live}
    bad = [each for each in found["builds"] if each["build_id"] != live]
    assert bad
    assert all(each["quarantined"] for each in bad)
    return json.loads(outcome.out)


async def test_what_a_gate_stops_never_reaches_a_workflow(
    conduit: Conduit, temporal_client: Client, tmp_path: Path
) -> None:
    algorithm = f"measure-{uuid.uuid4().hex[:8]}"
    example = {"examples/one.json": json.dumps(EXAMPLE)}
    repo = research_repo(tmp_path / "repo", algorithm, {**FILES, **example}, STRICT)

    async def deliver() -> Outcome:
        # Elsewhere: the workflows' worker is in this loop.
        return await asyncio.to_thread(conduit, "deliver", "--project", str(repo.folder), "--json")

    live = (await deliver()).json["build_id"]
    async with serving_caller(temporal_client) as queue:
        caller = await temporal_client.start_workflow(
            Caller.run, algorithm, id=f"caller-{algorithm}", task_queue=queue
        )
        repo.commit({"activities.py": WRONG})
        error = is_stopped(conduit, algorithm, await deliver(), live, GateFailed.exit_code)
        assert "examples/one.json: $.peak: 2.0 was expected and 1.0 came" in error["log"]

        repo.commit({"examples/one.json": json.dumps({"input": EXAMPLE["input"]})})
        error = is_stopped(conduit, algorithm, await deliver(), live, GateFailed.exit_code)
        assert "outputs differ from the recorded ones" in error["why"]

        with_rate = {"input": {"samples": [1.0], "rate": 1}}
        repo.commit({"activities.py": BROKEN, "examples/one.json": json.dumps(with_rate)})
        error = is_stopped(conduit, algorithm, await deliver(), live, ContractBroken.exit_code)
        assert "input $.rate: is required now" in error["log"]
        told = conduit("contract", "diff", "--project", str(repo.folder), "--json")
        assert told.code == ContractBroken.exit_code
        assert told.json["approval"] in error["now"]

        repo.commit({"examples/one.json": "{}", "activities.py": ACTIVITY})
        assert (await deliver()).code == InvalidExamples.exit_code

        repo.commit({"examples/one.json": json.dumps(EXAMPLE), "activities.py": SLOW})
        assert (await deliver()).json["decision"] == "promoted"
        await caller.signal(Caller.finish)
        assert await caller.result() > 0
    history = await caller.fetch_history()
    failures = [e for e in history.events if e.HasField("activity_task_failed_event_attributes")]
    retried = [
        e
        for e in history.events
        if e.HasField("activity_task_started_event_attributes")
        and e.activity_task_started_event_attributes.attempt > 1
    ]
    assert (failures, retried) == ([], [])
