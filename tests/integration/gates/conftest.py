"""An algorithm with a build that answers production, and candidates beside it that take no call."""

import hashlib
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

from pipeline.deployments import Deployments
from pipeline.gates import GateReport, GateRequest, run
from pipeline.gates.probing import of_build, probe
from pipeline.models import BUILD_ENTRY, Build, Commit, Environment, SmokeExample, build_id
from pipeline.options.gates import GateOptions
from pipeline.rollout.messages import Registered
from pipeline.worker.describe import Described, read_description
from pipeline.worker.probe import ProbeRequest
from pipeline.worker.settings import HostSettings
from tests.integration.worker.trial_activities import CODEC, module
from tests.parts.temporal import DevServer
from tests.parts.versions import is_registered, make_current
from tests.parts.waiting import eventually
from tests.parts.worker_host import WorkerHost, describe, worker_host


@workflow.defn
class AskEach:
    """Asks the algorithm one question after the other, with the timeouts that its owner chose."""

    @workflow.run
    async def run(self, task_queue: str, questions: list[Any], seconds: float, attempts: int) -> list[Any]:
        return [
            await workflow.execute_activity(
                "ask",
                question,
                task_queue=task_queue,
                start_to_close_timeout=timedelta(seconds=seconds),
                retry_policy=RetryPolicy(maximum_attempts=attempts),
            )
            for question in questions
        ]


@dataclass
class Candidate:
    """A build of this algorithm with one worker."""

    record: Build
    host: WorkerHost


@dataclass
class Algorithm:
    """One algorithm, its builds and its callers."""

    name: str
    client: Client
    folder: Path
    server: DevServer
    hosts: ExitStack
    current: Candidate | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def deployments(self) -> Deployments:
        return Deployments(self.client)

    def start(self, name: str, **changes: Any) -> Candidate:
        """Start a revision; it misbehaves unless its name begins with `good`. `gates` and `examples` are options."""
        gates = changes.pop("gates", {})
        examples: Sequence[tuple[JsonValue, JsonValue]] = changes.pop("examples", ())
        folder = self.folder / name
        folder.mkdir()
        (folder / "asking.py").write_text(module(name, **changes))
        (folder / "codec.py").write_text(CODEC)
        record = self._record(folder, name, GateOptions.model_validate(gates), examples)
        host = self.hosts.enter_context(
            worker_host(folder, record.host, build_id=record.build_id, environment=self.server.environment)
        )
        return Candidate(record, host)

    def _record(
        self, folder: Path, name: str, gates: GateOptions, examples: Sequence[tuple[JsonValue, JsonValue]]
    ) -> Build:
        compare = gates.replay.compare
        settings = HostSettings(
            task_queue=self.name, activities=("asking",), compare=compare, **self.settings
        )
        describe(folder, settings, folder / "contract.json")
        described = read_description(folder / "contract.json")
        assert isinstance(described, Described), described
        sha = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
        digest = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
        return Build(
            algorithm=self.name,
            build_id=build_id(sha, digest),
            commit=Commit(sha=sha, time=datetime.now(UTC), author="a", subject=name, repo="r"),
            artifact=Environment(digest=digest, python=Path("python"), code=(), source=folder),
            contract=described.contract,
            host=settings,
            gates=gates,
            examples=tuple(
                SmokeExample(file=f"examples/{n}.json", activity="ask", input=taken, output=given)
                for n, (taken, given) in enumerate(examples)
            ),
        )

    async def registered(self, candidate: Candidate) -> None:
        """Wait until the server lists it."""

        async def listed() -> bool:
            return await is_registered(self.client, self.name, candidate.record.build_id)

        await eventually(listed, within=60)

    async def make_current(self, candidate: Candidate, *, told: bool = True) -> None:
        """Route production to it, with its record in the version's metadata unless nobody `told`."""
        await make_current(self.client, self.name, candidate.record.build_id)
        if told:
            entry = Registered(build=candidate.record, by="test", at=datetime.now(UTC))
            await self.deployments.write_metadata(
                self.name, candidate.record.build_id, {BUILD_ENTRY: entry.model_dump_json().encode()}
            )
        self.current = candidate

    async def ask(self, *texts: str, seconds: float = 30.0, attempts: int = 0) -> list[Any]:
        """Have a workflow ask, and return what was answered."""
        questions = [{"text": text, "number": 1} for text in texts]
        answers: list[Any] = await self.client.execute_workflow(
            AskEach.run,
            args=[self.name, questions, seconds, attempts],
            id=f"ask-{uuid.uuid4()}",
            task_queue=f"{self.name}-callers",
        )
        return answers

    async def check(self, candidate: Candidate) -> GateReport:
        """Run the gates, and see that production was none of their business."""
        await self.registered(candidate)
        current = self.current.record.build_id if self.current else None
        request = GateRequest(build=candidate.record, current=current, by="test")
        report = await run(self.client, self.deployments, request)
        seen = await self.deployments.describe(self.name)
        assert seen is not None
        assert (seen.current, seen.ramping) == (current, None)
        return report

    async def production_calls(self, candidate: Candidate) -> int:
        """How many calls of production the candidate took."""
        asked = ProbeRequest(references=1)
        answer = await probe(self.client, of_build(candidate.record), asked, timedelta(seconds=30))
        assert answer is not None
        return sum(each.calls for each in answer.served)


@pytest.fixture
async def algorithm(
    temporal_client: Client, temporal_server: DevServer, tmp_path: Path
) -> AsyncIterator[Algorithm]:
    """An algorithm without builds, and a worker for the workflows that call it."""
    name = f"algorithm-{uuid.uuid4().hex[:8]}"
    with ExitStack() as hosts:
        async with Worker(temporal_client, task_queue=f"{name}-callers", workflows=[AskEach]):
            yield Algorithm(name, temporal_client, tmp_path, temporal_server, hosts)
