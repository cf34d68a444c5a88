"""State in a worker's memory between calls: the research module as text, and the workflow of its caller."""

from datetime import timedelta

from pydantic import BaseModel
from temporalio import workflow
from temporalio.exceptions import ActivityError, TimeoutError, TimeoutType

SESSIONS = """
import os
import uuid

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from pipeline.worker.own_queue import own_queue

SESSIONS: dict[str, list[str]] = {}


class Session(BaseModel):
    id: str
    queue: str


class Word(BaseModel):
    session: str
    word: str


class Heard(BaseModel):
    words: list[str]
    pid: int
    build: str


@activity.defn
def open_session() -> Session:
    session = Session(id=str(uuid.uuid4()), queue=own_queue())
    SESSIONS[session.id] = []
    return session


@activity.defn
def hear(word: Word) -> Heard:
    if word.session not in SESSIONS:
        raise ApplicationError("no such session here", type="SessionLost", non_retryable=True)
    SESSIONS[word.session].append(word.word)
    return Heard(words=SESSIONS[word.session], pid=os.getpid(), build=os.environ["TEMPORAL_WORKER_BUILD_ID"])
"""


class Session(BaseModel):
    """Where a session is held."""

    id: str
    queue: str


class Word(BaseModel):
    """A word for a session."""

    session: str
    word: str


class Heard(BaseModel):
    """What a session has heard."""

    words: list[str]
    pid: int
    build: str


@workflow.defn
class Conversation:
    """Says words to one session, and all of them again to a new one where it was lost."""

    @workflow.init
    def __init__(self, task_queue: str) -> None:
        self._task_queue = task_queue
        self._words: list[str] = []
        self._heard: list[Heard] = []
        self._said = 0
        self._finished = False

    @workflow.run
    async def run(self, task_queue: str) -> list[Heard]:
        while not self._finished:
            try:
                await self._in_one_session()
            except ActivityError as error:
                if not _is_lost(error):
                    raise
        return self._heard

    @workflow.signal
    def say(self, word: str) -> None:
        self._words.append(word)

    @workflow.signal
    def finish(self) -> None:
        self._finished = True

    @workflow.query
    def heard(self) -> list[Heard]:
        return self._heard

    async def _in_one_session(self) -> None:
        session = await workflow.execute_activity(
            "open_session",
            task_queue=self._task_queue,
            result_type=Session,
            start_to_close_timeout=timedelta(seconds=30),
        )
        self._said = 0
        while True:
            await workflow.wait_condition(lambda: self._said < len(self._words) or self._finished)
            if self._said == len(self._words):
                return
            heard = await workflow.execute_activity(
                "hear",
                Word(session=session.id, word=self._words[self._said]),
                task_queue=session.queue,
                result_type=Heard,
                schedule_to_start_timeout=timedelta(seconds=5),
                start_to_close_timeout=timedelta(seconds=30),
            )
            self._said += 1
            self._heard.append(heard)


def _is_lost(error: ActivityError) -> bool:
    cause = error.cause
    nobody_there = isinstance(cause, TimeoutError) and cause.type == TimeoutType.SCHEDULE_TO_START
    return nobody_there or getattr(cause, "type", "") == "SessionLost"
