"""What became of a call, read from its workflow's history, and how it is told."""

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from pipeline.rollout.heal import build_of, end_of
from pipeline.rollout.messages import HealedCall, HealReport
from pipeline.rollout.page import heal_lines
from pipeline.rollout.pending import PendingCall

CALL = PendingCall(
    workflow_id="w",
    run_id="r",
    activity_id="2",
    activity="measure",
    attempt=3,
    build_id="bad",
    failure="OSError",
)


def history(end: EventType.ValueType | None) -> list[HistoryEvent]:
    events = []
    for number, activity_id in ((5, "1"), (6, "2")):
        scheduled = HistoryEvent(event_id=number, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
        scheduled.activity_task_scheduled_event_attributes.activity_id = activity_id
        started = HistoryEvent(event_id=number + 10, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED)
        started.activity_task_started_event_attributes.scheduled_event_id = number
        started.activity_task_started_event_attributes.identity = f"a/build-{activity_id}@host:1"
        events += [scheduled, started]
    if end is not None:
        ended = HistoryEvent(event_id=20, event_type=end)
        ended.activity_task_completed_event_attributes.scheduled_event_id = 6
        events.append(ended)
    return events


def test_a_completed_call_names_the_build_that_completed_it() -> None:
    healed = end_of(CALL, history(EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED))
    assert (healed.outcome, healed.build_id) == ("completed", "build-2")


def test_a_call_that_its_history_does_not_end_is_gone() -> None:
    assert end_of(CALL, history(None)).outcome == "gone"
    assert end_of(CALL, []).outcome == "gone"


def test_the_build_stands_in_the_identity() -> None:
    assert build_of("speaker-id/abc-1@host:7") == "abc-1"
    assert build_of("somebody else") == ""


def test_the_report_counts_and_names_what_did_not_recover_first() -> None:
    done = HealedCall(call=CALL, outcome="completed", build_id="good")
    waits = HealedCall(call=CALL, outcome="pending")
    lines = heal_lines(HealReport(calls=(done, waits), more=1))
    assert lines[0] == "3 calls were waiting on the bad build, 1 of them completed"
    assert "pending" in lines[1]
    assert "completed on good" in lines[2]
    assert heal_lines(HealReport()) == ["no call was waiting on the bad build"]
