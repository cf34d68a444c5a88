"""A build that takes no production calls, called alone through the workflow that its host registers."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Interceptor, Replayer, Worker, WorkflowInterceptorClassInput

from pipeline.gates.probing import Target, probe
from pipeline.worker.probe import (
    Example,
    Outcome,
    Probe,
    ProbeAnswer,
    ProbeInterceptor,
    ProbeRequest,
    Reference,
    Served,
    Trial,
    Tried,
)
from pipeline.worker.settings import HostSettings
from tests.integration.worker.conftest import Algorithm
from tests.integration.worker.research import Call
from tests.integration.worker.trial_activities import CODEC, module
from tests.parts.temporal import DevServer
from tests.parts.versions import is_registered
from tests.parts.waiting import eventually
from tests.parts.worker_host import WorkerHost, worker_host

Start = Callable[..., WorkerHost]


class Headers(Interceptor):
    """What the host has its workflows go through."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[ProbeInterceptor]:
        return ProbeInterceptor


@pytest.fixture
def start(algorithm: Algorithm, temporal_server: DevServer, tmp_path: Path) -> Iterator[Start]:
    """Start a host of a revision; other keyword arguments are settings."""
    with ExitStack() as hosts:

        def run(build: str, *, field: str = "", factor: float = 2.0, **settings: Any) -> WorkerHost:
            folder = tmp_path / build
            folder.mkdir()
            (folder / "asking.py").write_text(module(build, field=field, factor=factor))
            (folder / "codec.py").write_text(CODEC)
            complete = HostSettings(**{"task_queue": algorithm.name, "activities": ("asking",), **settings})
            return hosts.enter_context(
                worker_host(folder, complete, build_id=build, environment=temporal_server.environment)
            )

        yield run


async def asked(algorithm: Algorithm, build: str, request: ProbeRequest) -> ProbeAnswer:
    """What the build answers once it is registered."""

    async def registered() -> bool:
        return await is_registered(algorithm.client, algorithm.name, build)

    await eventually(registered)
    target = Target(deployment=algorithm.name, build_id=build, task_queue=algorithm.name)
    answer = await probe(algorithm.client, target, request, timedelta(seconds=60))
    assert answer is not None
    return answer


async def served(algorithm: Algorithm, build: str, most: int = 100) -> dict[str, Served]:
    """What the build says that it served."""
    answer = await asked(algorithm, build, ProbeRequest(references=most))
    return {each.activity: each for each in answer.served}


async def probes(algorithm: Algorithm, count: int) -> list[str]:
    """The IDs of so many workflows through which the algorithm's builds were called."""
    query = f'WorkflowType="conduit.probe" AND TaskQueue="{algorithm.name}"'

    async def listed() -> list[str] | None:
        found = [each.id async for each in algorithm.client.list_workflows(query)]
        return found if len(found) == count else None

    return await eventually(listed)


def of_example(number: int, text: str, output: Any = None, **options: Any) -> Trial:
    example = Example(input={"text": text, "number": 1}, output=output)
    return Trial(**{"number": number, "activity": "ask", "example": example, "limit": 20.0, **options})


def of_reference(number: int, reference: Reference, **options: Any) -> Trial:
    return Trial(**{"number": number, "activity": "ask", "reference": reference, "limit": 20.0, **options})


def outcomes(tried: tuple[Tried, ...]) -> list[Outcome]:
    return [each.outcome for each in tried]


async def test_examples_are_tried_on_a_build_that_is_not_current(
    algorithm: Algorithm, start: Start, tmp_path: Path
) -> None:
    start("good")
    await algorithm.make_current("good")
    start("bad", field="    level: int")
    start("other")
    trials = (
        of_example(0, "a", {"text": "A", "number": 2.05}, tolerance=0.1),
        of_example(1, "a", {"text": "A", "number": 2.2}, tolerance=0.1, show=True),
        of_example(2, "a", activity="ask_async", output={"text": "B"}),
        of_example(3, "raise", show=True),
        of_example(4, "flaky"),
        of_example(5, "slow", limit=1.0),
        Trial(number=6, activity="nothing", example=Example(input=None), limit=20.0),
        of_example(7, "never", run=False),
        of_example(8, "a", activity="gone"),
        of_example(9, "long"),  # than a worker may be silent
    )
    answer = await asked(algorithm, "other", ProbeRequest(trials=trials))
    tried = answer.tried
    expected = ["same", "different", "different", "failed", "same", "slow", "same", "same", "failed", "same"]
    assert outcomes(tried) == expected
    assert tried[1].differences == ("$.number: 2.2 was expected and 2.0 came",)
    assert tried[2].differences == ("$.text: another text came",)
    assert tried[3].why.startswith("ValueError at asking.py:")
    assert tried[3].why.endswith(": cannot do raise")
    assert tried[8].why == "NotFoundError"
    assert tried[0].seconds is not None
    assert sorted((tmp_path / "other" / "seen-other").read_text().split()) == sorted(
        ["a", "a", "a", "raise", "raise", "flaky", "flaky", "slow", "nothing", "long"]
    )
    refused = await asked(algorithm, "bad", ProbeRequest(trials=(of_example(0, "a"),)))
    assert (refused.tried[0].outcome, refused.tried[0].why) == ("refused", "$.level: Field required")
    assert not (tmp_path / "good" / "seen-good").exists()  # Current was called for none of it
    assert (await served(algorithm, "other")) == {}  # and trials are no service


async def test_calls_of_production_are_named_and_tried_on_another_build(
    algorithm: Algorithm, start: Start, tmp_path: Path
) -> None:
    start("good")
    await algorithm.make_current("good")
    for text in ("one", "two", "raise"):
        await algorithm.call("ask", {"text": text, "number": 1})
    its = (await served(algorithm, "good"))["ask"]
    assert (its.calls, its.failures, len(its.references)) == (3, 0, 3)
    assert 0 < (its.p50 or 0) <= (its.p95 or 0)
    assert len((await served(algorithm, "good", most=2))["ask"].references) == 2
    start("other", factor=3.0)
    lost = its.references[0].model_copy(update={"activity_id": "77"})
    gone = its.references[0].model_copy(update={"workflow_id": "nobody"})
    trials = [of_reference(number, reference) for number, reference in enumerate(its.references)]
    answer = await asked(
        algorithm, "other", ProbeRequest(trials=(*trials, of_reference(3, lost), of_reference(4, gone)))
    )
    failed, two, one, unread, no_history = answer.tried
    assert outcomes(answer.tried) == ["failed", "different", "different", "unread", "unread"]
    assert failed.why.startswith("ValueError at asking.py:")
    assert "raise" not in failed.why
    assert two.differences == one.differences == ("$.number: another number came",)
    assert one.caller is not None
    assert (one.caller.workflow_type, one.caller.start_to_close) == ("Call", 120.0)
    assert (unread.why, "cannot be read" in no_history.why) == (
        "the caller's history does not have the call",
        True,
    )


async def test_a_function_of_the_research_repo_compares(algorithm: Algorithm, start: Start) -> None:
    start("good")
    await algorithm.make_current("good")
    await algorithm.call("ask", {"text": "one", "number": 1})
    [reference] = (await served(algorithm, "good"))["ask"].references
    start("other", factor=3.0, compare="asking:alike")
    answer = await asked(algorithm, "other", ProbeRequest(trials=(of_reference(0, reference),)))
    assert outcomes(answer.tried) == ["same"]


async def test_a_worker_that_dies_in_a_trial_is_told_by_the_next_one(
    algorithm: Algorithm, start: Start, tmp_path: Path, temporal_server: DevServer
) -> None:
    first = start("other")
    settings = HostSettings(task_queue=algorithm.name, activities=("asking",))
    with ExitStack() as hosts:

        async def died() -> bool:
            return first.process.poll() is not None

        request = ProbeRequest(trials=(of_example(0, "die"), of_example(1, "a")), at_once=1)

        async def again() -> None:
            await eventually(died, within=60)
            hosts.enter_context(
                worker_host(
                    tmp_path / "other", settings, build_id="other", environment=temporal_server.environment
                )
            )

        answer, _ = await asyncio.gather(asked(algorithm, "other", request), again())
    assert outcomes(answer.tried) == ["lost", "same"]


async def test_encoded_payloads_are_tried_and_leave_no_worker(
    algorithm: Algorithm, start: Start, tmp_path: Path, temporal_server: DevServer
) -> None:
    namespace: dict[str, Any] = {}
    exec(CODEC, namespace)  # noqa: S102  # the same codec as the hosts have
    converter = replace(pydantic_data_converter, payload_codec=namespace["Reversed"]())
    codec_client = await Client.connect(temporal_server.address, data_converter=converter)
    encoded = Algorithm(algorithm.name, codec_client, f"{algorithm.name}-encoded")
    start("good", codec="codec:Reversed")
    await algorithm.make_current("good")
    async with Worker(codec_client, task_queue=encoded.callers, workflows=[Call]):
        answer = await encoded.call("ask", {"text": "secret", "number": 1})
        assert answer["text"] == "SECRET"
    [reference] = (await served(algorithm, "good"))["ask"].references
    start("other", factor=3.0, codec="codec:Reversed")
    start("bad", field="    level: int", codec="codec:Reversed")
    trials = (of_reference(0, reference, show=True), of_example(1, "a", {"number": 3.0}))
    tried = (await asked(algorithm, "other", ProbeRequest(trials=trials))).tried
    assert outcomes(tried) == ["different", "same"]
    assert tried[0].differences == ("$.number: another number came",)
    refused = (await asked(algorithm, "bad", ProbeRequest(trials=(of_reference(0, reference),)))).tried
    assert (refused[0].outcome, refused[0].why) == ("refused", "missing")
    for workflow_id in (reference.workflow_id, *await probes(algorithm, 3)):
        history = await algorithm.client.get_workflow_handle(workflow_id).fetch_history()
        assert history.events
        assert not any(b"secret" in event.SerializeToString().lower() for event in history.events)


async def test_the_probe_is_deterministic_and_runs_in_the_sandbox(algorithm: Algorithm, start: Start) -> None:
    start("other")
    trials = tuple(of_example(number, text) for number, text in enumerate(("a", "raise", "b")))
    await asked(algorithm, "other", ProbeRequest(trials=trials, at_once=2, references=5))
    [workflow_id] = await probes(algorithm, 1)
    history = await algorithm.client.get_workflow_handle(workflow_id).fetch_history()
    replayer = Replayer(workflows=[Probe], interceptors=[Headers()], data_converter=pydantic_data_converter)
    await replayer.replay_workflow(history)
