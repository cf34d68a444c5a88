"""Candidates that are stopped before production calls them, and those that are not."""

import asyncio
from dataclasses import replace
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from pipeline.contract import approval, compare
from pipeline.errors import ContractBroken, GateFailed
from pipeline.gates import GateReport, Verdict, failure, lines
from tests.integration.gates.conftest import Algorithm, AskEach
from tests.integration.worker.trial_activities import CODEC

STRICT = {"replay": {"max-differences": 0.0}}


def failed(report: GateReport) -> set[tuple[str, str]]:
    """The gates that a build failed, and at which activity."""
    return {(each.gate, each.activity) for each in report.findings if each.verdict is Verdict.FAIL}


async def test_the_same_answers_pass_and_wrong_ones_do_where_the_repo_says_so(algorithm: Algorithm) -> None:
    current = algorithm.start("good")
    same = algorithm.start("good-same", gates=STRICT, examples=[({"text": "x"}, {"text": "X"})])
    wrong = algorithm.start("good-wrong", factor=3.0, gates=STRICT)
    better = algorithm.start("good-better", factor=3.0)
    alike = algorithm.start(
        "good-alike", factor=3.0, gates={"replay": {"max-differences": 0.0, "compare": "asking:alike"}}
    )
    await algorithm.make_current(current)
    await algorithm.ask("one", "two", "three", attempts=1)

    report = await algorithm.check(same)
    assert report.verdict is Verdict.PASS, lines(report)
    assert [(f.gate, f.activity, f.calls, f.failed, f.different) for f in report.figures] == [
        ("smoke", "ask", 1, 0, 0),
        ("replay", "ask", 3, 0, 0),
    ]
    assert [(each.gate, each.examples) for each in report.findings] == [("budget", ("AskEach",))]

    report = await algorithm.check(wrong)
    assert failed(report) == {("replay", "ask")}
    assert isinstance(failure(report), GateFailed)
    [finding] = [each for each in report.findings if each.gate == "replay"]
    assert finding.what == "3 of 3 outputs differ from the recorded ones"
    assert all("$.number: another number came" in example for example in finding.examples)

    report = await algorithm.check(better)
    assert report.verdict is Verdict.PASS
    assert "3 of 3 outputs differ" in "\n".join(lines(report))
    assert (await algorithm.check(alike)).verdict is Verdict.PASS
    for candidate in (same, wrong, better, alike):
        assert await algorithm.production_calls(candidate) == 0
    assert await algorithm.production_calls(current) == 3


async def test_examples_and_recorded_calls_that_fail_stop_a_build(algorithm: Algorithm) -> None:
    current = algorithm.start("good")
    no_example = algorithm.start("bad-example", examples=[({"text": "raise"}, None), ({"text": "a"}, None)])
    no_call = algorithm.start("bad-call", gates={"side-effects": ["ask_async"]})
    untouched = algorithm.start("bad-effects", gates={"side-effects": ["ask"]})
    await algorithm.make_current(current)
    await algorithm.ask("one", "raise", "two")

    report = await algorithm.check(no_example)
    assert failed(report) == {("smoke", "ask")}
    [finding] = report.findings
    assert finding.what == "1 of 2 examples were not answered as they should"
    assert finding.examples[0].startswith("examples/0.json: ValueError at asking.py:")

    report = await algorithm.check(no_call)
    assert failed(report) == {("replay", "ask")}
    [finding] = report.findings
    assert finding.what == "1 of 3 calls that production had answered failed"
    assert "AskEach ask-" in finding.examples[0]
    assert "cannot do" not in str(report)

    report = await algorithm.check(untouched)
    assert report.verdict is Verdict.PASS, lines(report)
    assert not (algorithm.folder / "bad-effects" / "seen-bad-effects").exists()
    assert await algorithm.production_calls(no_call) == 0


async def test_a_broken_contract_stops_a_build_unless_somebody_approves_it(algorithm: Algorithm) -> None:
    current = algorithm.start("good")
    field = "    level: int\n    text: int"
    broken = algorithm.start("good-broken", field=field)
    changes = compare(current.record.contract, broken.record.contract)
    approved = algorithm.start("good-approved", field=field, gates={"approve-breaking": [approval(changes)]})
    await algorithm.make_current(current)
    await algorithm.ask("one", "two")

    report = await algorithm.check(broken)
    assert failed(report) == {("contract", "ask"), ("contract", "ask_async")}
    error = failure(report)
    assert isinstance(error, ContractBroken)
    assert approval(changes) in error.now
    assert "$.level: is required now" in error.log
    assert not (algorithm.folder / "good-broken" / "seen-good-broken").exists()

    report = await algorithm.check(approved)
    assert report.verdict is Verdict.PASS, lines(report)
    assert "2 of 2 inputs that callers really sent are not accepted" in "\n".join(lines(report))

    # Nobody wrote down what Current takes: what its callers sent tells.
    await algorithm.deployments.write_metadata(
        algorithm.name, current.record.build_id, {"conduit.build": b"{}"}
    )
    report = await algorithm.check(broken)
    assert failed(report) == {("contract", "ask")}
    assert "$.level: Field required" in str(report)
    assert await algorithm.production_calls(broken) == 0


async def test_builds_that_are_too_slow_for_their_callers_or_die_are_stopped(algorithm: Algorithm) -> None:
    current = algorithm.start("good")
    slow = algorithm.start("bad-slow", gates={"replay": {"calls": 1}})
    hangs = algorithm.start("bad-hangs", gates={"replay": {"calls": 1}, "call-timeout": "1s"})
    await algorithm.make_current(current)
    await algorithm.ask("slow", seconds=1.5)
    reports = await asyncio.gather(algorithm.check(slow), algorithm.check(hangs))
    assert failed(reports[0]) == {("budget", "ask")}
    assert "AskEach: 1.5 s (start-to-close)" in str(reports[0])
    assert failed(reports[1]) == {("replay", "ask")}
    assert "it did not answer in time" in str(reports[1])

    dies = algorithm.start("bad-dies", gates={"replay": {"calls": 1}})
    await algorithm.ask("die")
    report = await algorithm.check(dies)
    assert failed(report) == {("replay", "")}
    assert "the build's workers died while they were tried" in str(report)


async def test_encoded_payloads_are_checked_and_leave_no_worker(algorithm: Algorithm) -> None:
    namespace: dict[str, Any] = {}
    exec(CODEC, namespace)  # noqa: S102  # the same codec as the hosts have
    converter = replace(pydantic_data_converter, payload_codec=namespace["Reversed"]())
    algorithm.settings = {"codec": "codec:Reversed"}
    current = algorithm.start("good")
    same = algorithm.start("good-same", gates=STRICT)
    wrong = algorithm.start(
        "good-wrong", factor=3.0, gates={"replay": {"max-differences": 0.0, "show-values": True}}
    )
    broken = algorithm.start("good-broken", field="    level: int")
    await algorithm.make_current(current)
    client = await Client.connect(algorithm.server.address, data_converter=converter)
    queue = f"{algorithm.name}-encoded"
    async with Worker(client, task_queue=queue, workflows=[AskEach]):
        await client.execute_workflow(
            AskEach.run,
            args=[algorithm.name, [{"text": "secret", "number": 1}], 30.0, 0],
            id=queue,
            task_queue=queue,
        )
    reports = [await algorithm.check(each) for each in (same, wrong, broken)]
    assert [each.verdict for each in reports] == [Verdict.PASS, Verdict.FAIL, Verdict.FAIL]
    assert reports[0].figures[0].calls == 1
    assert failed(reports[1]) == {("replay", "ask")}
    assert "secret" not in str(reports).lower()


async def test_a_first_build_has_its_examples_alone(algorithm: Algorithm) -> None:
    first = algorithm.start("good-first", examples=[({"text": "x"}, {"text": "Y"})])
    report = await algorithm.check(first)
    assert failed(report) == {("smoke", "ask")}
    assert '$.text: "Y" was expected and "X" came' in str(report)
