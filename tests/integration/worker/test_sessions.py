"""A caller reaches the worker that holds its state, whatever is promoted, and begins again where it is gone."""

import uuid
from collections.abc import Callable
from pathlib import Path

from temporalio.client import WorkflowHandle

from tests.integration.worker.conftest import Algorithm
from tests.integration.worker.sessions import SESSIONS, Conversation, Heard
from tests.parts.waiting import eventually
from tests.parts.worker_host import WorkerHost

Handle = WorkflowHandle[Conversation, list[Heard]]


async def say(conversation: Handle, word: str, number: int) -> Heard:
    """Say a word; what was heard when so many answers are there."""
    await conversation.signal(Conversation.say, word)

    async def answered() -> list[Heard] | None:
        heard = await conversation.query(Conversation.heard)
        return heard if len(heard) >= number else None

    return (await eventually(answered, within=60))[-1]


async def test_a_session_stays_with_its_worker_and_is_opened_anew_when_that_is_gone(
    algorithm: Algorithm, start_host: Callable[..., WorkerHost], tmp_path: Path
) -> None:
    (tmp_path / "sessions.py").write_text(SESSIONS)
    settings = {"activities": ("sessions",), "own_queue": True, "grace": 0.5}
    first = [start_host("b1", **settings), start_host("b1", **settings)]
    await algorithm.make_current("b1")
    conversation: Handle = await algorithm.client.start_workflow(
        Conversation.run, algorithm.name, id=f"talk-{uuid.uuid4()}", task_queue=algorithm.callers
    )
    one = await say(conversation, "one", 1)
    two = await say(conversation, "two", 2)
    assert (two.words, two.pid) == (["one", "two"], one.pid)
    assert one.pid in [host.pid for host in first]

    start_host("b2", **settings)
    await algorithm.make_current("b2")
    three = await say(conversation, "three", 3)
    assert (three.words, three.pid, three.build) == (["one", "two", "three"], one.pid, "b1")

    for host in first:
        host.terminate()
        assert host.wait() == 0
    four = await say(conversation, "four", 7)  # the three words before are said again
    assert (four.words, four.build) == (["one", "two", "three", "four"], "b2")
    await conversation.signal(Conversation.finish)
    assert (await conversation.result())[-1] == four
