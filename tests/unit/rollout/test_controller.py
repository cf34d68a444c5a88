"""What a standing controller outlives."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from pipeline.rollout import controller, host
from pipeline.rollout.policy import InFlight
from pipeline.rollout.serving import task_queue
from pipeline.runtimes import Runtime


class Server:
    """Is away at first, and has a release then that a toolkit began whose requests are others."""

    def __init__(self) -> None:
        self.searches = 0

    async def list_workflows(self, query: str) -> AsyncIterator[object]:
        self.searches += 1
        if self.searches == 1:
            raise RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")
        yield SimpleNamespace(id="conduit/rollout/measure", run_id="r", task_queue=task_queue("measure"))

    def get_workflow_handle(self, *_: object, **__: object) -> object:
        return SimpleNamespace(fetch_history_events=self.events)

    async def events(self) -> AsyncIterator[HistoryEvent]:
        event = HistoryEvent()
        payloads = await pydantic_data_converter.encode([{"artifact": "of the future"}])
        event.workflow_execution_started_event_attributes.input.payloads.extend(payloads)
        yield event


async def test_neither_a_server_that_is_away_nor_a_strange_release_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controller, "worker", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(controller, "SEARCH", 0.01)

    async def in_flight(_: Client, algorithm: str) -> InFlight:
        return InFlight(build_id="b", sha="", task_queue="q", host_is_alive=False, run_id="r")

    monkeypatch.setattr(host, "in_flight", in_flight)
    said: list[str] = []
    stop = asyncio.Event()

    def say(text: str) -> None:
        said.append(text)
        if "another version" in text:
            stop.set()

    async with asyncio.timeout(10):
        await controller.serve(cast(Client, Server()), cast(Runtime, None), Path("home"), say, stop)
    assert any("connection refused" in text for text in said)
