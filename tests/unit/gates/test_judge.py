"""What came of trials, weighed."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.errors import ContractBroken, GateFailed
from pipeline.gates import GateFinding, GateReport, Verdict, approval, approved, failure, lines
from pipeline.gates.judge import Case, budget_findings, figures, replay_findings, smoke_findings, verdict
from pipeline.gates.messages import LONGEST
from pipeline.models import Build, Commit, Environment, build_id
from pipeline.options.gates import GateOptions
from pipeline.worker.probe import Caller, Example, Outcome, Reference, Trial, Tried
from pipeline.worker.settings import HostSettings
from tests.unit.contract.contracts import contract_of

SHA, DIGEST = "a" * 40, "sha256:" + "b" * 64


def a_build(**gates: Any) -> Build:
    return Build.model_validate(
        {
            "algorithm": "speaker-id",
            "build_id": build_id(SHA, DIGEST),
            "commit": Commit.model_validate(
                {"sha": SHA, "time": "2026-01-01T00:00:00Z", "author": "a", "subject": "s", "repo": "r"}
            ),
            "artifact": Environment(digest=DIGEST, python=Path("p"), code=(), source=Path("s")),
            "contract": contract_of(argument=int, result=int),
            "host": HostSettings(task_queue="speaker-id", activities=("m",)),
            "gates": GateOptions.model_validate(gates),
        }
    )


def case(
    outcome: Outcome,
    *,
    seconds: float | None = None,
    compared: bool = False,
    caller: Caller | None = None,
    run: bool = True,
    why: str = "",
) -> Case:
    reference = Reference(workflow_id="w", run_id="r", workflow_type="Identify", activity_id="7", seconds=0.1)
    trial = Trial(number=0, activity="identify", reference=reference, limit=10, run=run)
    tried = Tried(number=0, outcome=outcome, seconds=seconds, compared=compared, caller=caller, why=why)
    return Case(trial, tried)


def calls(*outcomes: Outcome) -> list[Case]:
    return [case(each, seconds=0.1, compared=each in ("same", "different")) for each in outcomes]


def verdicts(found: list[GateFinding]) -> list[tuple[str, Verdict]]:
    return [(each.gate, each.verdict) for each in found]


def replayed(its: list[Case], approved: frozenset[str] = frozenset(), **gates: Any) -> list[GateFinding]:
    return list(replay_findings(its, a_build(**gates), approved))


@pytest.mark.parametrize("outcome", ["different", "failed", "refused", "slow", "lost", "skipped"])
def test_an_example_passes_only_by_being_answered_as_it_says(outcome: Outcome) -> None:
    assert verdicts(list(smoke_findings(calls("same", outcome)))) == [("smoke", Verdict.FAIL)]
    assert list(smoke_findings(calls("same", "same"))) == []


@pytest.mark.parametrize("outcome", ["failed", "slow", "lost"])
def test_a_recorded_call_that_fails_now_stops_a_build(outcome: Outcome) -> None:
    assert verdicts(replayed(calls("same", outcome))) == [("replay", Verdict.FAIL)]


def test_as_many_calls_may_fail_as_the_configuration_says_but_no_worker_may_die() -> None:
    bearable: dict[str, Any] = {"replay": {"max-failures": 0.5}}
    assert verdicts(replayed(calls("same", "failed"), **bearable)) == [("replay", Verdict.PASS)]
    assert verdicts(replayed(calls("failed", "failed"), **bearable)) == [("replay", Verdict.FAIL)]
    assert verdicts(replayed(calls("same", "same", "lost"), **bearable)) == [("replay", Verdict.FAIL)]


def test_differences_are_told_and_stop_a_build_only_where_it_says_so() -> None:
    its = calls("same", "different")
    assert verdicts(replayed(its)) == [("replay", Verdict.PASS)]
    assert verdicts(replayed(its, replay={"max-differences": 0.5})) == [("replay", Verdict.PASS)]
    assert verdicts(replayed(its, replay={"max-differences": 0.4})) == [("replay", Verdict.FAIL)]


def test_inputs_that_are_not_accepted_break_the_contract_unless_that_was_approved() -> None:
    its = [case("refused", why="$.level: Field required"), *calls("same")]
    [finding] = replayed(its)
    assert (finding.gate, finding.verdict) == ("contract", Verdict.FAIL)
    assert finding.what == "1 of 2 inputs that callers really sent are not accepted"
    assert finding.examples == ("Identify w, activity 7: $.level: Field required",)
    assert verdicts(replayed(its, frozenset({"identify"}))) == [("contract", Verdict.PASS)]


def test_no_call_tried_is_inconclusive_and_some_are_enough() -> None:
    assert verdicts(replayed(calls("unread", "unread"))) == [("replay", Verdict.INCONCLUSIVE)]
    assert verdicts(replayed(calls("unread", "same"))) == [("replay", Verdict.PASS)]
    assert verdicts(replayed(calls("skipped"))) == [("replay", Verdict.INCONCLUSIVE)]


def caller(name: str = "Identify", close: float | None = None, attempts: int = 0) -> Caller:
    return Caller(workflow_type=name, start_to_close=close, schedule_to_close=None, maximum_attempts=attempts)


def test_the_95th_of_a_hundred_calls_has_to_be_within_each_callers_timeout() -> None:
    its = [case("same", seconds=0.1, caller=caller(close=2.0)) for _ in range(95)]
    slow = [case("same", seconds=3.0, caller=caller("Other", close=5.0)) for _ in range(5)]
    assert list(budget_findings([*its, *slow])) == []
    [finding] = budget_findings([*its[1:], *slow, slow[0]])
    assert finding.verdict is Verdict.FAIL
    assert finding.examples == ("Identify: 2 s (start-to-close)",)


def test_what_comes_close_to_a_timeout_is_told() -> None:
    [finding] = budget_findings([case("same", seconds=0.9, caller=caller(close=1.0))])
    assert finding.verdict is Verdict.PASS
    assert "close to the 1 s" in finding.what


def test_callers_with_a_single_attempt_are_named() -> None:
    its = [
        case("same", seconds=0.1, caller=caller("Once", attempts=1)),
        case("same", run=False, caller=caller()),
    ]
    [finding] = budget_findings(its)
    assert (finding.verdict, finding.examples) == (Verdict.PASS, ("Once",))


def test_figures_count_what_was_run() -> None:
    [found] = figures("replay", [*calls("same", "different", "failed"), case("same", run=False)])
    assert (found.calls, found.failed, found.different, found.p95) == (3, 1, 1, 0.1)


def test_fail_outweighs_inconclusive_which_outweighs_pass() -> None:
    def finding(its: Verdict) -> GateFinding:
        return GateFinding(gate="smoke", verdict=its, what="w")

    passed, unsure, failed = (finding(each) for each in (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL))
    assert verdict([]) is Verdict.PASS
    assert verdict([passed, unsure]) is Verdict.INCONCLUSIVE
    assert verdict([unsure, failed, passed]) is Verdict.FAIL


def test_a_strangers_text_is_one_short_line_of_a_report() -> None:
    reference = Reference(
        workflow_id="w\n::error::x" + "y" * 1000,
        run_id="r",
        workflow_type="W\x1b[2J",
        activity_id="1",
        seconds=1,
    )
    trial = Trial(number=0, activity="identify", reference=reference, limit=1)
    [finding] = replayed([Case(trial, Tried(number=0, outcome="failed", why="E"))])
    report = GateReport(verdict=Verdict.FAIL, findings=(finding,))
    assert all(line.isprintable() and len(line) <= LONGEST + 10 for line in lines(report))


def test_an_error_says_which_gates_a_build_failed() -> None:
    def report(*gates: Any) -> GateReport:
        findings = [GateFinding(gate=g, verdict=Verdict.FAIL, activity="a", what="bad") for g in gates]
        return GateReport(verdict=verdict(findings), findings=tuple(findings))

    assert failure(report()) is None
    assert isinstance(failure(report("contract")), ContractBroken)
    error = failure(report("smoke", "contract"))
    assert isinstance(error, GateFailed)
    assert error.what == "The build did not pass: contract and smoke."
    assert error.why == "a: bad"


def test_an_approval_is_named_where_it_alone_would_have_let_a_build_pass() -> None:
    def report(*found: tuple[Verdict, str]) -> GateReport:
        findings = (GateFinding(gate="contract", verdict=v, what="w", approval=digest) for v, digest in found)
        return GateReport(verdict=Verdict.FAIL, findings=tuple(findings))

    breaks, other = (Verdict.FAIL, "00ca35e6f337"), (Verdict.FAIL, "")
    assert approval(report(breaks, breaks, (Verdict.PASS, ""))) == "00ca35e6f337"
    assert approval(report(breaks, other)) == approval(report(other)) == approval(report()) == ""
    assert approved(report((Verdict.PASS, "00ca35e6f337"), (Verdict.PASS, ""))) == "00ca35e6f337"
    assert approved(report(breaks)) == approved(report()) == ""


def test_an_example_of_a_file_is_named_by_it() -> None:
    trial = Trial(number=0, activity="identify", example=Example(input=1), limit=1)
    tried = Tried(number=0, outcome="different", differences=("$: another number came",))
    [finding] = smoke_findings([Case(trial, tried, "examples/one.json")])
    assert finding.examples == ("examples/one.json: $: another number came",)


def test_options_have_bounds() -> None:
    with pytest.raises(ValidationError):
        GateOptions.model_validate({"replay": {"calls": 501}})
    with pytest.raises(ValidationError):
        GateOptions.model_validate({"approve-breaking": ["all"]})
