"""Which calls a candidate is tried with."""

from typing import Any

import pytest
from pydantic import BaseModel

from pipeline.contract import approval, compare
from pipeline.gates import Verdict
from pipeline.gates.agreement import approved_activities, contract_findings
from pipeline.gates.plan import latest, replay_trials, smoke_trials
from pipeline.models import Build, SmokeExample
from pipeline.worker.contract import Contract
from pipeline.worker.probe import Reference, Served
from tests.unit.contract.contracts import contract_of, of_schemas
from tests.unit.gates.test_judge import a_build


def reference(number: int, seconds: float = 0.1) -> Reference:
    return Reference(workflow_id="w", run_id="r", workflow_type="W", activity_id=str(number), seconds=seconds)


def served(activity: str, *numbers: int) -> Served:
    references = tuple(reference(number) for number in numbers)
    return Served(activity=activity, calls=9, failures=0, p50=None, p95=None, references=references)


def a_build_with(*activities: str, **gates: Any) -> Build:
    contracts = [contract_of(argument=int, name=name).activities[0] for name in activities]
    return a_build(**gates).model_copy(update={"contract": Contract(activities=tuple(contracts))})


def test_each_worker_of_current_gives_its_latest_calls_in_turns_and_none_counts_twice() -> None:
    found = latest([[served("a", 1, 2, 3)], [served("a", 3, 4), served("b", 9)]], most=3)
    assert [each.activity_id for each in found["a"]] == ["1", "3", "2"]
    assert [each.activity_id for each in found["b"]] == ["9"]


def test_activities_take_turns_so_that_each_is_tried_before_the_time_is_over() -> None:
    build = a_build_with("a", "b")
    trials = replay_trials(
        build, {"a": [reference(1), reference(2)], "b": [reference(3)], "gone": [reference(4)]}
    )
    assert [(each.number, each.activity) for each in trials] == [(0, "a"), (1, "b"), (2, "a")]
    assert all(each.run for each in trials)


def test_what_has_side_effects_or_takes_too_long_is_read_and_not_called() -> None:
    build = a_build_with("a", "b", **{"side-effects": ["a"], "call-timeout": "10s"})
    trials = replay_trials(build, {"a": [reference(1)], "b": [reference(2, 4.0), reference(3, 6.0)]})
    assert [(each.activity, each.run) for each in trials] == [("a", False), ("b", True), ("b", False)]


def test_an_example_is_called_as_it_says_and_its_values_may_be_told() -> None:
    example = SmokeExample(file="examples/a.json", activity="a", input=1, output=2, tolerance=0.5)
    [trial] = smoke_trials(a_build().model_copy(update={"examples": (example,)}))
    assert trial.example is not None
    assert (trial.example.input, trial.example.output) == (1, 2)
    assert (trial.tolerance, trial.show, trial.limit) == (0.5, True, 60.0)


class Old(BaseModel):
    text: str


class New(BaseModel):
    text: str
    level: int


class Newer(BaseModel):
    text: str
    level: int
    place: str


OLD, NEW, NEWER = (contract_of(argument=kind, result=int) for kind in (Old, New, Newer))


def test_a_breaking_change_stops_and_names_the_way_out() -> None:
    [finding] = contract_findings(OLD, NEW, ())
    assert (finding.verdict, finding.activity) == (Verdict.FAIL, "identify")
    assert finding.examples == ("breaking    input $.level: is required now: callers that leave it out fail",)
    digest = approval(compare(OLD, NEW))
    assert f'approve-breaking = ["{digest}"]' in finding.now
    assert f'conduit deliver --approve {digest} --reason "…"' in finding.now
    assert finding.approval == digest


def test_an_approval_is_for_one_change() -> None:
    digest = approval(compare(OLD, NEW))
    found = contract_findings(OLD, NEW, (digest,))
    assert [each.verdict for each in found] == [Verdict.PASS]
    assert approved_activities(found) == {"identify"}
    assert [each.verdict for each in contract_findings(OLD, NEWER, (digest,))] == [Verdict.FAIL]
    documented = contract_of(argument=New, result=int, doc="Now with words.")
    assert approval(compare(OLD, documented)) == digest


MANY = [f"word {number}" for number in range(20)]


@pytest.mark.parametrize(
    ("one", "other"), [(["a" * 100 + "1"], ["a" * 100 + "2"]), ([*MANY, "y"], [*MANY, "z"])]
)
def test_changes_that_differ_far_behind_have_approvals_of_their_own(one: list[str], other: list[str]) -> None:
    before, first, second = (of_schemas(argument={"enum": words}) for words in (["x"], one, other))
    assert approval(compare(before, first)) != approval(compare(before, second))


def test_a_compatible_change_and_a_first_build_pass() -> None:
    assert contract_findings(NEW, OLD, ()) == ()
    assert contract_findings(None, NEW, ()) == ()
    assert approval(compare(NEW, OLD)) == ""


def test_an_activity_that_is_gone_breaks_the_contract() -> None:
    [finding] = contract_findings(OLD, Contract(activities=()), ())
    assert finding.verdict is Verdict.FAIL
    assert "the activity is gone" in finding.examples[0]
