"""What the gate of saved state tells."""

from pipeline.gates.messages import LONGEST, MOST_EXAMPLES, Verdict
from pipeline.gates.states import findings, staying
from pipeline.worker.probe import SavedCall, Unread


def call(number: int, activity: str = "transcribe", *, last: bool = False) -> SavedCall:
    return SavedCall(workflow_id=f"w{number}", run_id="r", activity_id="1", activity=activity, last=last)


def test_state_that_is_not_read_fails_once_for_each_activity_with_a_few_examples() -> None:
    unread = [Unread(call=call(n), why="version 1 " + "x" * LONGEST) for n in range(9)]
    found = findings([*unread, Unread(call=call(9, "align"), why="no checkpoint of that name")])
    assert [(one.activity, one.verdict) for one in found] == [
        ("align", Verdict.FAIL),
        ("transcribe", Verdict.FAIL),
    ]
    assert found[0].examples == ("workflow w9: no checkpoint of that name",)
    assert "state that 9 running calls saved" in found[1].what
    assert len(found[1].examples) == MOST_EXAMPLES


def test_what_a_worker_says_of_saved_state_is_told_on_one_line() -> None:
    [found] = findings([Unread(call=call(1), why="bad\n✓ gate: all is well\x1b[2J")])
    assert found.examples == ("workflow w1: bad ✓ gate: all is well [2J",)


def test_calls_on_their_last_attempt_are_named_and_fail_nothing() -> None:
    [remark] = staying([call(1), call(2, last=True)])
    assert remark.verdict is Verdict.PASS
    assert remark.what.endswith("to end on the build that has it: 1 running call")
    assert remark.examples == ("transcribe of workflow w2",)
    assert staying([call(1)]) == ()
