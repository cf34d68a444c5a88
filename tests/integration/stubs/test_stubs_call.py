"""Stubs inside Temporal's workflow sandbox, against the activities they were made from."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from pipeline.stubs import generate
from tests.parts import research

# As an engineer's module would be: the stubs are imported in the plain way, and the research code nowhere.
WORKFLOW = """
from datetime import timedelta

from temporalio import workflow

import {stubs} as stubs


@workflow.defn
class Engineers:
    @workflow.run
    async def run(self, everything: stubs.Everything) -> stubs.Everything:
        clip = stubs.Clip(wav=b"\\xff\\x00", segments=[stubs.Segment(start=1.5)])
        speech = await stubs.identify_speaker(clip, start_to_close_timeout=timedelta(seconds=30))
        page = await stubs.split_audio_v2(clip)
        number = await stubs.count([clip, clip])
        nothing = await stubs.choose(stubs.Level.quiet)
        music = await stubs.choose(stubs.Level.loud)
        assert (speech.speaker, page.items[0].tags, number, nothing) == ("ff00", ["heard"], 2, None)
        assert isinstance(music, stubs.Music)
        return await stubs.echo(everything)
"""


@pytest.fixture
def engineers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """An engineer's workflow module with its stubs beside it."""
    stubs, workflows = f"stubs_{uuid4().hex}", f"workflows_{uuid4().hex}"
    (tmp_path / f"{stubs}.py").write_text(generate("speaker-id", research.contract()))
    (tmp_path / f"{workflows}.py").write_text(WORKFLOW.format(stubs=stubs))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module(workflows)
    for name in (stubs, workflows):
        del sys.modules[name]


EVERYTHING = """{
    "text": "t",
    "moment": {
        "at": "2026-03-01T12:30:01.000005", "day": "2026-03-01", "clock": "01:02:03",
        "lasted": "P2DT3.000007S", "id": "00000000-0000-0000-0000-000000000007", "price": "10.30"
    },
    "sound": {"kind": "speech", "speaker": "anna"},
    "pages": {"items": [{"start": 1.5, "end": null, "tags": []}]},
    "counts": {"loud": 3},
    "pair": [1, "x"],
    "marks": [1, 2],
    "tree": {"label": "a", "children": [{"label": "b"}]},
    "choice": null,
    "either": [1.5],
    "whatever": {"x": [1, null]},
    "secret": "s",
    "an odd name": 7
}"""


async def test_every_activity_is_called_with_types_from_inside_the_sandbox(
    temporal_client: Client, engineers: ModuleType
) -> None:
    sent = engineers.stubs.Everything.model_validate_json(EVERYTHING)
    queue = f"engineers-{uuid4()}"
    async with (
        Worker(temporal_client, task_queue=queue, workflows=[engineers.Engineers]),
        Worker(temporal_client, task_queue="speaker-id", activities=research.ACTIVITIES),
    ):
        returned = await temporal_client.execute_workflow(
            engineers.Engineers.run, sent, id=queue, task_queue=queue
        )

    assert returned == sent
    assert research.Everything.model_validate_json(EVERYTHING) == research.Everything.model_validate_json(
        returned.model_dump_json(by_alias=True)
    )
