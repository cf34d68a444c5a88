"""What counts as a contract file, and what a bad one is told."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import declared, errors, stubs
from pipeline.models import Build, Commit, Image, build_id
from pipeline.worker.contract import Contract
from pipeline.worker.settings import HostSettings
from tests.unit.contract.contracts import contract_of

SIGNATURES = '''
from enum import StrEnum

from pydantic import BaseModel
from temporalio import activity


class Level(StrEnum):
    LOUD = "loud"


class AudioClip(BaseModel):
    wav: bytes
    level: Level = Level.LOUD


class SpeakerID(BaseModel):
    speaker: str


def identify_speaker(clip: AudioClip) -> SpeakerID:
    """Tell who speaks.

    More of it.
    """
    ...


@activity.defn(name="count.Clips")
async def count(clips: list[AudioClip]) -> int: ...


def forget() -> None: ...


def not_a_signature() -> int:
    return 3
'''


SHA, DIGEST = "a" * 40, "sha256:" + "b" * 64


def build_of(contract: Contract) -> Build:
    return Build(
        algorithm="measure",
        build_id=build_id(SHA, DIGEST),
        commit=Commit(sha=SHA, time=datetime(2026, 3, 1, tzinfo=UTC), author="a", subject="s", repo="r"),
        artifact=Image(digest=DIGEST, repository=""),
        contract=contract,
        host=HostSettings(task_queue="measure", activities=("activities",)),
    )


def read(folder: Path, text: str, name: str = "contract.py") -> Contract:
    file = folder / name
    file.write_text(text)
    return declared.read(file, os.environ)


@pytest.mark.parametrize("name", ["contract.py", "contract.pyi"])
def test_typed_signatures_are_a_contract(tmp_path: Path, name: str) -> None:
    contract = read(tmp_path, SIGNATURES, name)
    told = {each.name: (each.doc, each.input is None, each.output is None) for each in contract.activities}
    assert told == {
        "count.Clips": ("", False, False),
        "forget": ("", True, True),
        "identify_speaker": ("Tell who speaks.", False, False),
    }
    assert list(told) == sorted(told)


def test_a_neighbouring_module_may_hold_the_models(tmp_path: Path) -> None:
    (tmp_path / "shared_models.py").write_text("Clip = list[float]\n")
    contract = read(tmp_path, "from shared_models import Clip\ndef peak(clip: Clip) -> float: ...\n")
    assert [each.name for each in contract.activities] == ["peak"]


def test_what_the_conduit_writes_is_read_again_exactly(tmp_path: Path) -> None:
    contract = contract_of(argument=list[int], result=str)
    assert read(tmp_path, contract.model_dump_json(), "contract.json") == contract
    assert read(tmp_path, build_of(contract).model_dump_json(), "build.json") == contract
    assert read(tmp_path, stubs.generate("measure", contract), "stubs.py") == contract


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("contract.json", "", "JSON"),
        ("contract.json", "[]", "the whole"),
        ("contract.json", '{"activities": 3}', "activities"),
        ("contract.json", '{"activities": []}', "names no activity"),
        ("contract.json", '{"activities": [{"name": "a", "input": {"type": 7}, "output": null}]}', "'a'"),
        (
            "contract.json",
            '{"activities": [{"name": "a", "input": null, "output": null}, '
            '{"name": "a", "input": null, "output": null}]}',
            "twice",
        ),
        ("contract.py", "", "no function"),
        ("contract.py", "def f() -> int:\n    return 3\n", "no function"),
        ("contract.py", "def f(:\n", "not Python"),
        ("contract.yaml", "activities: []\n", "JSON"),
    ],
)
def test_what_is_no_contract_is_refused_with_the_reason(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    with pytest.raises(errors.NotAContract) as refused:
        read(tmp_path, text, name)
    assert why in refused.value.why
    assert name in refused.value.what


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.NotAContract, match="nowhere"):
        declared.read(tmp_path / "nowhere.py", {})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("import nowhere_to_be_found\ndef f() -> int: ...\n", errors.ImportFailed),
        ("import os\nos._exit(3)\ndef f() -> int: ...\n", errors.ImportFailed),
        ("def f(clip) -> int: ...\n", errors.UntypedActivity),
        ("def f(clip: int): ...\n", errors.UntypedActivity),
        ("def f(one: int, two: int) -> int: ...\n", errors.UntypedActivity),
    ],
)
def test_a_signature_file_fails_as_a_research_module_does(
    tmp_path: Path, text: str, kind: type[errors.ConduitError]
) -> None:
    with pytest.raises(kind):
        read(tmp_path, text)


def test_a_signature_file_sees_no_secret(tmp_path: Path) -> None:
    text = "import os\nassert 'TEMPORAL_API_KEY' not in os.environ\ndef f() -> int: ...\n"
    file = tmp_path / "contract.py"
    file.write_text(text)
    assert declared.read(file, {**os.environ, "TEMPORAL_API_KEY": "k"}).activities
