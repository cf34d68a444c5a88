"""All gates, one after the other; the first that fails ends them."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ValidationError
from temporalio.client import Client

from pipeline.deployments import Deployments, polls
from pipeline.gates import judge, plan
from pipeline.gates.agreement import approved_activities, contract_findings
from pipeline.gates.messages import Gate, GateFigures, GateFinding, GateReport, GateRequest, Verdict
from pipeline.gates.probing import Target, of_build, probe
from pipeline.models import BUILD_ENTRY, is_placeholder
from pipeline.worker.contract import Contract
from pipeline.worker.probe import ProbeRequest, Reference, Trial, Tried

ASKING = timedelta(seconds=30)
MOST_ASKED = 4
"""How many times Current is asked: each time one of its workers answers."""
BATCH = 250
"""Trials of one workflow: what it takes and gives has to fit into one payload."""
BREATH = timedelta(seconds=60)
"""What a workflow of trials gets beyond their own time."""
UNHEARD = 10.0
"""Seconds in which a candidate's worker is heard of for the first time, unless it died before."""
WATCH = 2.0
"""Seconds between two looks at the candidate's workers."""


async def run(client: Client, deployments: Deployments, request: GateRequest) -> GateReport:
    """Check a candidate. It changes nothing but what the candidate itself does when it is called.

    Args:
        client: of the namespace that the candidate is registered in.
        deployments: of the same namespace.
        request: the candidate, and what it is compared with.
    """
    return await _Checks(client, deployments, request).run()


class _Checks:
    def __init__(self, client: Client, deployments: Deployments, request: GateRequest) -> None:
        self._client = client
        self._deployments = deployments
        self._request = request
        self._build = request.build
        self._begun = time.monotonic()
        self._findings: list[GateFinding] = []
        self._figures: list[GateFigures] = []

    async def run(self) -> GateReport:
        current = await _current(self._deployments, self._request)
        approvals = {*self._request.approvals, *self._build.gates.approve_breaking}
        contract = current.contract if current else None
        # A large contract takes long to compare, and other releases may be served by this process.
        found = await asyncio.to_thread(contract_findings, contract, self._build.contract, approvals)
        self._findings += found
        if not self._failed:
            await self._smoke()
        if not self._failed and current is not None and not is_placeholder(current.target.build_id):
            await self._replay(current)  # a placeholder's answers are made up: nothing is to be compared
        return GateReport(
            verdict=judge.verdict(self._findings),
            findings=tuple(self._findings),
            figures=tuple(self._figures),
            seconds=time.monotonic() - self._begun,
        )

    @property
    def _failed(self) -> bool:
        return judge.verdict(self._findings) is Verdict.FAIL

    async def _smoke(self) -> None:
        trials = plan.smoke_trials(self._build)
        tried = await self._try("smoke", trials)
        found = judge.cases(trials, tried, [example.file for example in self._build.examples])
        self._findings += judge.smoke_findings(found)
        self._figures += judge.figures("smoke", found)

    async def _replay(self, current: "_Current") -> None:
        references = await self._references(current)
        trials = plan.replay_trials(self._build, references)
        found = judge.cases(trials, await self._try("replay", trials))
        self._findings += judge.replay_findings(
            found, self._build, approved_activities(tuple(self._findings))
        )
        self._findings += judge.budget_findings(found)
        self._figures += judge.figures("replay", found)

    async def _references(self, current: "_Current") -> dict[str, tuple[Reference, ...]]:
        most = self._build.gates.replay.calls
        if not most:
            return {}
        workers = await _live(self._deployments, self._build.algorithm, current.target.build_id)
        asked = ProbeRequest(references=most)
        answers = await asyncio.gather(
            *(
                probe(self._client, current.target, asked, ASKING)
                for _ in range(min(len(workers), MOST_ASKED))
            )
        )
        if workers and not any(answers):
            what = (
                "the workers of the build that is Current did not name any calls: none could be tried again"
            )
            self._findings.append(GateFinding(gate="replay", verdict=Verdict.PASS, what=what))
        return plan.latest([answer.served for answer in answers if answer], most)

    async def _try(self, gate: Gate, trials: Sequence[Trial]) -> tuple[Tried, ...]:
        tried: list[Tried] = []
        for start in range(0, len(trials), BATCH):
            tried += await self._try_batch(gate, trials[start : start + BATCH])
        return tuple(tried)

    async def _try_batch(self, gate: Gate, trials: Sequence[Trial]) -> Sequence[Tried]:
        gates = self._build.gates
        left = gates.timeout.total_seconds() - (time.monotonic() - self._begun)
        asked = ProbeRequest(trials=tuple(trials), at_once=gates.at_once, within=max(left, 0.0))
        limit = timedelta(seconds=max(left, 0.0)) + gates.call_timeout + BREATH
        watching = asyncio.create_task(self._worker_died())
        calling = asyncio.create_task(probe(self._client, of_build(self._build), asked, limit))
        try:
            await asyncio.wait({watching, calling}, return_when=asyncio.FIRST_COMPLETED)
            answer = calling.result() if calling.done() else None
        finally:
            watching.cancel()
            calling.cancel()
            ended = await asyncio.gather(watching, calling, return_exceptions=True)
        if isinstance(ended[0], Exception):
            raise ended[0]
        if answer is not None:
            return answer.tried
        self._findings.append(self._silence(gate, died=ended[0] is None))
        return [Tried(number=each.number, outcome="skipped", why="there was no answer") for each in trials]

    def _silence(self, gate: Gate, *, died: bool) -> GateFinding:
        if died:
            what = "the build's workers died while they were tried"
            return GateFinding(gate=gate, verdict=Verdict.FAIL, what=what, now="Look at the workers' log.")
        what = "the build's workers did not answer to the gates"
        return GateFinding(gate=gate, verdict=Verdict.INCONCLUSIVE, what=what)

    async def _worker_died(self) -> None:
        """End when no worker is left of those that were seen: without one, nobody would tell of it."""
        name, build_id = self._build.algorithm, self._build.build_id
        begun = time.monotonic()
        seen: set[str] = set()
        async for _ in polls(first=WATCH, most=WATCH):
            now = set(await _live(self._deployments, name, build_id))
            if not now & (seen or now) and (seen or time.monotonic() - begun > UNHEARD):
                return
            seen |= now


class _Host(BaseModel):
    task_queue: str


class _Built(BaseModel):
    contract: Contract
    host: _Host


class _About(BaseModel):
    """What the gates need of a version's metadata."""

    build: _Built


class _Current(BaseModel):
    """The build that answers production now; its contract if its metadata tells it."""

    target: Target
    contract: Contract | None


async def _current(deployments: Deployments, request: GateRequest) -> _Current | None:
    if request.current is None or request.current == request.build.build_id:
        return None
    details = await deployments.details(request.build.algorithm, request.current)
    about = _about(details.metadata.get(BUILD_ENTRY, b"")) if details else None
    target = Target(
        deployment=request.build.algorithm,
        build_id=request.current,
        task_queue=about.build.host.task_queue if about else request.build.host.task_queue,
    )
    return _Current(target=target, contract=about.build.contract if about else None)


def _about(entry: bytes) -> _About | None:
    try:
        return _About.model_validate_json(entry)
    except ValidationError:
        return None


async def _live(deployments: Deployments, name: str, build_id: str) -> list[str]:
    """The keys of a build's live workers."""

    async def read() -> Any:
        return [worker for worker in await deployments.workers(name) if worker.build_id == build_id]

    return [worker.key for worker in await deployments.live(read)]
