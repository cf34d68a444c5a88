"""The activity of the throughput benchmark: a small one, so that what is around it shows."""

from pydantic import BaseModel
from temporalio import activity


class Message(BaseModel):
    """What is sent and answered."""

    number: int
    words: list[str]


@activity.defn
def echo(message: Message) -> Message:
    """Answer with what was sent."""
    return message
