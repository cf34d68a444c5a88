"""How hard a text is to read, by the Automated Readability Index."""

import re

from pydantic import BaseModel, Field
from temporalio import activity
from temporalio.exceptions import ApplicationError


class Text(BaseModel):
    """What somebody wrote."""

    text: str


class Readability(BaseModel):
    """How hard it is."""

    index: float = Field(description="about the years of school that a reader needs")


@activity.defn
def readability(text: Text) -> Readability:
    """Say how hard a text is to read."""
    words = re.findall(r"\w+", text.text)
    if not words:
        # The same text would fail again: tell the caller now.
        raise ApplicationError("the text has no words", non_retryable=True)
    sentences = len(re.findall(r"[.!?]+(?:\s|$)", text.text)) or 1
    letters = sum(map(len, words))
    return Readability(index=4.71 * letters / len(words) + 0.5 * len(words) / sentences - 21.43)
