"""Stand-ins for the algorithm: activities under its real name, with models of their own as research has."""

import io
import math
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import uuid4

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from workflows.models import AudioClip

RATE = 8000


class ReceivedClip(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    wav: bytes


class Verdict(BaseModel):
    speaker: str
    confidence: float
    model: str = "a field that the engineers have never heard of"


Algorithm = Callable[[ReceivedClip], Awaitable[Verdict]]


def tone(hertz: int) -> AudioClip:
    """20 ms of a sine: as small as a WAV file can be and still be told from another."""
    samples = (int(8000 * math.sin(2 * math.pi * hertz * i / RATE)) for i in range(RATE // 50))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, RATE, 0, "NONE", ""))
        writer.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))
    return AudioClip(wav=file.getvalue())


ANNA, BEN, NOBODY = tone(200), tone(300), tone(400)
SPEAKERS = {ANNA.wav: "anna", BEN.wav: "ben"}


def knowing(speakers: Mapping[bytes, str], *, bad_attempts: int = 0) -> Algorithm:
    """An algorithm that knows these clips, refuses all others, and first fails so many times on each call."""

    @activity.defn(name="identify_speaker")
    async def identify_speaker(clip: ReceivedClip) -> Verdict:
        if activity.info().attempt <= bad_attempts:
            raise RuntimeError("this build is bad")
        if clip.wav not in speakers:
            raise ApplicationError("nobody is heard", type="UnusableAudio", non_retryable=True)
        return Verdict(speaker=speakers[clip.wav], confidence=0.9)

    return identify_speaker


def unused_queue() -> str:
    return f"algorithm-{uuid4()}"


@asynccontextmanager
async def live(
    client: Client, algorithm: Algorithm, task_queue: str | None = None, *, at_once: int = 100
) -> AsyncIterator[str]:
    """Run an algorithm's worker, on a task queue of its own unless one is given; gives the queue's name."""
    task_queue = task_queue or unused_queue()
    async with Worker(
        client, task_queue=task_queue, activities=[algorithm], max_concurrent_activities=at_once
    ):
        yield task_queue
