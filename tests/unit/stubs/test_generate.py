"""The generated module: its models carry exactly what the algorithm's own do."""

import inspect
import json
import subprocess
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import TypeAdapter, create_model
from pydantic_core import to_json
from temporalio import workflow
from typing_extensions import Unpack

from pipeline.contract import check_payload
from pipeline.errors import InvalidContract
from pipeline.stubs import generate
from pipeline.worker.contract import Contract, Schema
from tests.parts.research import Clip, Everything, Level, Moment, Music, Page, Segment, Speech, Tree
from tests.unit.contract.contracts import contract_of, of_schemas
from tests.unit.stubs.conftest import Importer

MOMENT = Moment(
    at=datetime(2026, 3, 1, 12, 30, 1, 5),
    day=date(2026, 3, 1),
    clock=time(1, 2, 3),
    lasted=timedelta(days=2, seconds=3, microseconds=7),
    id=UUID(int=7),
    price=Decimal("10.30"),
)


def everything(**changes: Any) -> Everything:
    values: dict[str, Any] = {
        "text": "ü".encode(),
        "moment": MOMENT,
        "sound": Speech(speaker="anna"),
        "pages": Page[Segment](items=[Segment(1.5, None, ["a"]), Segment(2, 3)]),
        "counts": {Level.LOUD: 3},
        "pair": (1, "x"),
        "marks": {1, 2},
        "tree": Tree(label="a", children=[Tree(label="b")]),
        "choice": None,
        "either": [1.5],
        "whatever": {"x": [1, None]},
        "secret": "hunter2",
        "class_": "c",
    }
    return Everything.model_validate(values | changes)


def canonical(kind: Any, text: bytes) -> Any:
    """What the algorithm reads from this JSON, compared by value."""
    return TypeAdapter(kind).validate_json(text)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Everything, "Everything", everything()),
        (
            Everything,
            "Everything",
            everything(sound=Music(kind="music", bpm=90), choice="a", either="x", odd=9),
        ),
        (Everything, "Everything", everything(choice=1, either=3, whatever=None, class_=None)),
        (Clip, "Clip", Clip(wav=bytes(range(256)), level=Level.LOUD, segments=[Segment(0, 1, [])])),
        (Clip, "Clip", Clip(wav=b"")),
    ],
)
def test_what_the_algorithm_writes_goes_through_the_stub_and_back_unchanged(
    imported: Importer, research_stubs: str, kind: Any, name: str, value: Any
) -> None:
    stub = getattr(imported(research_stubs), name)
    written = TypeAdapter(kind).dump_json(value, by_alias=True)
    returned = to_json(TypeAdapter(stub).validate_json(written))

    assert canonical(kind, returned) == value


def test_the_engineer_has_bytes_datetimes_and_enums_and_not_text(
    imported: Importer, research_stubs: str
) -> None:
    stubs = imported(research_stubs)
    clip = stubs.Clip(wav=b"\xff\x00", level=stubs.Level.loud, segments=[stubs.Segment(start=1)])
    moment = stubs.Moment.model_validate_json(MOMENT.model_dump_json())

    assert Clip.model_validate_json(to_json(clip)) == Clip(
        wav=b"\xff\x00", level=Level.LOUD, segments=[Segment(1, None, ["heard"])]
    )
    assert (moment.at, moment.day, moment.lasted, moment.id) == (
        MOMENT.at,
        MOMENT.day,
        MOMENT.lasted,
        MOMENT.id,
    )


def test_a_default_that_the_contract_does_not_tell_is_left_to_the_algorithm(
    imported: Importer, research_stubs: str, research_contract: Contract
) -> None:
    stubs = imported(research_stubs)
    sent = json.loads(to_json(stubs.Clip(wav=b"", segments=[stubs.Segment(start=1.0)])))

    assert "tags" not in sent["segments"][0]
    assert check_payload(research_contract, "identify_speaker", "input", sent) == ()


def test_there_is_one_documented_function_for_each_activity(imported: Importer, research_stubs: str) -> None:
    stubs = imported(research_stubs)
    functions = {name for name, _ in inspect.getmembers(stubs, inspect.iscoroutinefunction)}
    signature = inspect.signature(stubs.identify_speaker)

    assert functions == {"_call", "choose", "count", "echo", "identify_speaker", "split_audio_v2"}
    assert signature.parameters["argument"].annotation is stubs.Clip
    assert signature.parameters["options"].annotation == Unpack[workflow.ActivityConfig]
    assert signature.return_annotation is stubs.Speech
    assert stubs.identify_speaker.__doc__ == "Tell who speaks."
    assert stubs.split_audio_v2.__doc__ == "Call `split.Audio-v2`."
    assert stubs.CONTRACT_DIGEST.startswith("sha256:")
    assert stubs.DEFAULTS["task_queue"] == "speaker-id"
    # Without it, a call that was lost or whose worker died comes back after the start-to-close timeout only.
    assert stubs.DEFAULTS["heartbeat_timeout"] < stubs.DEFAULTS["start_to_close_timeout"] / 10


def test_the_module_needs_temporalio_and_pydantic_only(research_stubs: str, tmp_path: Path) -> None:
    (tmp_path / "stubs.py").write_text(research_stubs)
    (tmp_path / "own.py").write_text(
        "import sys\n"
        "import temporalio.workflow, temporalio.common, typing_extensions\n"
        "from pydantic import BaseModel, Field, TypeAdapter\n"
        "TypeAdapter(type('A', (BaseModel,), {}))\n"
        "before = set(sys.modules)\n"
        "import stubs\n"
        "print(sorted(name for name in set(sys.modules) - before if '.' not in name and name != 'stubs'\n"
        "             and name not in sys.stdlib_module_names and not name.startswith('_')))\n"
    )
    result = subprocess.run(
        [sys.executable, "own.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert result.stdout == "[]\n"


def test_a_model_whose_two_sides_differ_has_two_classes(imported: Importer) -> None:
    stubs = imported(generate("money", contract_of(argument=Moment, result=Moment)))

    assert str(inspect.get_annotations(stubs.Moment)["price"]) != "<class 'str'>"
    assert inspect.get_annotations(stubs.MomentOutput)["price"] is str


NAMED_AS_TYPES: dict[str, Any] = {
    "date": date(2026, 3, 1),
    "time": time(1, 2, 3),
    "datetime": datetime(2026, 3, 1, 12, 30),
    "UUID": UUID(int=7),
    "Path": Path("a/b"),
    "Literal": "a",
    "set": {1, 2},
    "tuple": (1, "x"),
    "int": 3,
    "Field": "f",
}


def test_a_field_may_have_the_name_of_its_type(imported: Importer) -> None:
    kinds: dict[str, Any] = {name: type(value) for name, value in NAMED_AS_TYPES.items()}
    kinds |= {"Path": Path, "Literal": Literal["a"], "set": set[int], "tuple": tuple[int, str]}
    fields: Any = {name: (kind | None, None) for name, kind in kinds.items()}
    recording = create_model("Recording", **fields)
    stubs = imported(generate("dates", contract_of(argument=recording, result=recording)))

    value = stubs.Recording(**NAMED_AS_TYPES)
    assert recording.model_validate_json(to_json(value)) == recording(**NAMED_AS_TYPES)


def test_an_activity_without_argument_or_result(imported: Importer) -> None:
    stubs = imported(generate("ping", contract_of(name="ping")))

    assert list(inspect.signature(stubs.ping).parameters) == ["options"]
    assert inspect.get_annotations(stubs.ping)["return"] is None


def test_the_same_contract_gives_the_same_text(research_contract: Contract, research_stubs: str) -> None:
    again = Contract.model_validate_json(research_contract.model_dump_json())

    assert generate("speaker-id", again) == research_stubs


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/Missing"},
        {"$ref": "http://127.0.0.1:9/schema"},
        {"type": "nonsense"},
        {"type": "object", "properties": 3},
    ],
)
def test_a_schema_that_is_none_is_refused(schema: Schema) -> None:
    with pytest.raises(InvalidContract):
        generate("speaker-id", of_schemas(argument=schema))


def test_an_algorithm_that_has_no_name_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot name an algorithm"):
        generate('x"\nimport os', contract_of())
