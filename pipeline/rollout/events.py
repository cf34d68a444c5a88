"""Reading the events of a workflow's history."""

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent


def scheduled_by(event: HistoryEvent) -> int:
    """The ID of the event that scheduled the call which this event ends; -1 where it ends none."""
    match event.event_type:
        case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            return event.activity_task_completed_event_attributes.scheduled_event_id
        case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
            return event.activity_task_failed_event_attributes.scheduled_event_id
        case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
            return event.activity_task_timed_out_event_attributes.scheduled_event_id
        case EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
            return event.activity_task_canceled_event_attributes.scheduled_event_id
        case _:
            return -1
