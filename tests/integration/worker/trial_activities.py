"""A research module whose revisions answer differently, as text."""

MODULE = """
import asyncio
import os
import time
from pathlib import Path

from pydantic import BaseModel, Field
from temporalio import activity

HERE = Path(__file__).parent


class Question(BaseModel):
    text: str
    number: float = 0.0
{field}


class Answer(BaseModel):
    text: str
    number: float
    scores: dict[str, float] = {{}}


def seen(text):
    with (HERE / "seen-{build}").open("a") as log:
        log.write(text + "\\n")


@activity.defn
def ask(question: Question) -> Answer:
    seen(question.text)
    if not "{build}".startswith("good"):
        misbehave(question)
    return Answer(text=question.text.upper(), number=question.number * {factor}, scores={{question.text: 1.0}})


@activity.defn
async def ask_async(question: Question) -> Answer:
    return ask(question)


@activity.defn
def nothing() -> None:
    seen("nothing")


def misbehave(question):
    if question.text == "raise":
        raise ValueError("cannot do " + question.text)
    if question.text == "flaky" and not (HERE / "tried-once").exists():
        (HERE / "tried-once").touch()
        raise ValueError("this time not")
    if question.text == "slow":
        time.sleep(2)
    if question.text == "long":
        time.sleep(11.5)
    if question.text == "die":
        os._exit(9)


def alike(recorded: Answer, answered: Answer):
    assert isinstance(recorded, Answer) and isinstance(answered, Answer)
    return recorded.text == answered.text or "another text: " + answered.text
"""

CODEC = '''
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec


class Reversed(PayloadCodec):
    """Not a cipher, but nobody reads it by chance."""

    async def encode(self, payloads):
        return [
            Payload(metadata={"encoding": b"binary/reversed"}, data=payload.SerializeToString()[::-1])
            for payload in payloads
        ]

    async def decode(self, payloads):
        return [self.one(payload) for payload in payloads]

    def one(self, payload):
        if payload.metadata.get("encoding") != b"binary/reversed":
            return payload
        return Payload.FromString(payload.data[::-1])
'''


def module(build: str, *, field: str = "", factor: float = 2.0) -> str:
    """The module of a revision; one whose name begins with `good` never misbehaves."""
    return MODULE.format(build=build, field=field, factor=factor)
