import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from pipeline.worker.contract import ActivityContract
from pipeline.worker.describe import Described, Undescribed, describe, read_description, write_description
from pipeline.worker.settings import HostSettings

Describe = Callable[..., Described | Undescribed]

HEAD = """
import dataclasses, enum, typing
from pydantic import BaseModel, Field
from temporalio import activity

class Clip(BaseModel):
    samples: list[float]

class Speaker(BaseModel):
    name: str = Field(serialization_alias="speaker")
"""


@pytest.fixture
def describe_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Describe]:
    """Write modules, each under HEAD, and describe them; all are forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def run(
        setup: str | None = None, codec: str | None = None, compare: str | None = None, **modules: str
    ) -> Described | Undescribed:
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(HEAD + dedent(source))
            monkeypatch.delitem(sys.modules, name, raising=False)
        settings = HostSettings(
            task_queue="any", activities=tuple(modules), setup=setup, codec=codec, compare=compare
        )
        return describe(settings)

    yield run
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(file.stem, None)


def contracts(description: Described | Undescribed) -> list[ActivityContract]:
    assert isinstance(description, Described), description
    return list(description.contract.activities)


def failure(description: Described | Undescribed) -> Undescribed:
    assert isinstance(description, Undescribed), description
    return description


def test_an_activity_is_described_by_its_hints(describe_modules: Describe) -> None:
    [identify] = contracts(
        describe_modules(
            one='''
            @activity.defn
            def identify(clip: Clip) -> Speaker:
                """Say who speaks.

                At length.
                """
            '''
        )
    )
    assert (identify.name, identify.doc) == ("identify", "Say who speaks.")
    assert identify.input
    assert identify.output
    assert list(identify.input["properties"]) == ["samples"]
    assert list(identify.output["properties"]) == ["speaker"]


@pytest.mark.parametrize(
    ("signature", "input_type", "output_type"),
    [
        ("() -> None", None, None),
        ("() -> int", None, "integer"),
        ("(text: str) -> None", "string", None),
        ("(items: list[Clip]) -> dict[str, float]", "array", "object"),
        ("(point: Point) -> Colour", "object", "string"),
        ("(point: 'Point') -> 'Colour'", "object", "string"),
    ],
)
def test_types_of_many_kinds_are_described(
    describe_modules: Describe, signature: str, input_type: str | None, output_type: str | None
) -> None:
    [one] = contracts(
        describe_modules(
            one=f"""
            @dataclasses.dataclass
            class Point:
                x: int

            class Colour(enum.Enum):
                RED = "red"

            @activity.defn
            async def act{signature}: ...
            """
        )
    )
    assert (one.input["type"] if one.input else None) == input_type
    assert (one.output["type"] if one.output else None) == output_type


def test_unions_are_described(describe_modules: Describe) -> None:
    [one] = contracts(
        describe_modules(
            one="""
            @activity.defn
            def act(either: Clip | int | None) -> typing.Literal["a", "b"]: ...
            """
        )
    )
    assert one.input
    assert len(one.input["anyOf"]) == 3
    assert one.output
    assert one.output["enum"] == ["a", "b"]


def test_activities_come_in_the_order_of_their_names(describe_modules: Describe) -> None:
    source = """
        @activity.defn(name="{0}")
        def {1}() -> None: ...
        @activity.defn(name="{2}")
        def {3}() -> None: ...
    """
    described = describe_modules(one=source.format("d", "x", "b", "y"), two=source.format("a", "z", "c", "w"))
    assert [one.name for one in contracts(described)] == ["a", "b", "c", "d"]


def test_an_activity_that_two_modules_have_counts_once(describe_modules: Describe) -> None:
    described = describe_modules(
        one="""
        @activity.defn
        def act() -> None: ...
        alias = act
        """,
        two="from one import act",
    )
    assert [one.name for one in contracts(described)] == ["act"]


def test_a_bound_method_counts_through_a_module_level_name(describe_modules: Describe) -> None:
    described = describe_modules(
        one="""
        class Recognizer:
            __hash__ = None

            @activity.defn
            def identify(self, clip: Clip) -> Speaker: ...

        identify = Recognizer().identify
        """
    )
    [identify] = contracts(described)
    assert identify.input
    assert identify.input["title"] == "Clip"


def test_a_method_without_an_object_does_not_count(describe_modules: Describe) -> None:
    described = describe_modules(
        one="""
        class Recognizer:
            @activity.defn
            def identify(self, clip: Clip) -> Speaker: ...
        """
    )
    assert failure(described).error == "NoActivity"


@pytest.mark.parametrize(
    ("signature", "told"),
    [
        ("(clip) -> Speaker", "an input without a type"),
        ("(clip: typing.Any) -> Speaker", "an input without a type"),
        ("(clip: Clip)", "an output without a type"),
        ("(clip: object()) -> Speaker", "an input that no JSON Schema can be made of"),
        ("(clip: Opaque) -> Speaker", "an input that no JSON Schema can be made of"),
        ("(clip: Clip) -> Opaque", "an output that no JSON Schema can be made of"),
        ("(clip: Clip, rate: int) -> Speaker", "takes 2 parameters"),
        ("(clip: Clip, rate: int = 1) -> Speaker", "takes 2 parameters"),
        ("(*clips: Clip) -> Speaker", "an input without a type"),
        ("(**clips: Clip) -> Speaker", "an input without a type"),
    ],
)
def test_an_untyped_activity_is_refused(describe_modules: Describe, signature: str, told: str) -> None:
    refused = failure(
        describe_modules(
            one=f"""
            class Opaque: ...

            @activity.defn
            def act{signature}: ...
            """
        )
    )
    assert refused.error == "UntypedActivity"
    assert told in refused.what
    assert "'act' (one.act)" in refused.what


def test_a_dynamic_activity_is_refused(describe_modules: Describe) -> None:
    refused = failure(
        describe_modules(
            one="""
            from collections.abc import Sequence
            from temporalio.common import RawValue

            @activity.defn(dynamic=True)
            def act(args: Sequence[RawValue]) -> None: ...
            """
        )
    )
    assert (refused.error, refused.what) == ("UntypedActivity", "one.act is a dynamic activity")


def test_two_activities_of_one_name_are_refused_with_both_places(describe_modules: Describe) -> None:
    source = "@activity.defn\ndef act() -> None: ..."
    refused = failure(describe_modules(one=source, two=source))
    assert refused.error == "DuplicateActivity"
    assert "one.act and two.act" in refused.why


def test_a_module_without_activities_is_named(describe_modules: Describe) -> None:
    refused = failure(describe_modules(one="def act() -> None: ..."))
    assert refused.error == "NoActivity"
    assert "one" in refused.what


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (:", "SyntaxError"),
        ("@activity.defn\ndef act(clip: Unknown) -> None: ...", "NameError: name 'Unknown' is not defined"),
    ],
)
def test_a_module_that_does_not_import_is_reported(describe_modules: Describe, source: str, why: str) -> None:
    refused = failure(describe_modules(one=source))
    assert (refused.error, refused.what) == ("ImportFailed", "the module 'one' does not import")
    assert why in refused.why


def test_the_traceback_begins_in_the_research_code(describe_modules: Describe) -> None:
    refused = failure(describe_modules(one="def fail():\n    1 / 0\nfail()"))
    [head, first, *_] = refused.log.splitlines()
    assert head.startswith("Traceback")
    assert "one.py" in first
    assert "importlib" not in refused.log


def test_the_setup_hook_is_found_but_not_called(describe_modules: Describe) -> None:
    source = """
        class Model:
            @staticmethod
            def load(): raise AssertionError("called")

        @activity.defn
        def act() -> None: ...
    """
    contracts(describe_modules(setup="one:Model.load", one=source))


@pytest.mark.parametrize("setup", ["one:missing", "one:number"])
def test_a_setup_hook_that_is_not_there_is_reported(describe_modules: Describe, setup: str) -> None:
    source = "number = 3\n@activity.defn\ndef act() -> None: ..."
    refused = failure(describe_modules(setup=setup, one=source))
    assert refused.error == "SetupFailed"
    assert setup in refused.what


CODEC = """
import os
from temporalio.converter import PayloadCodec

class Encryption(PayloadCodec):
    def __init__(self):
        self.key = os.environ["KEY_THAT_ONLY_WORKERS_HAVE"]

    async def encode(self, payloads):
        return list(payloads)

    decode = encode

@activity.defn
def one() -> int: return 1
"""


def test_a_codec_whose_key_only_workers_have_is_no_reason_not_to_build(describe_modules: Describe) -> None:
    assert contracts(describe_modules(codec="one:Encryption", one=CODEC))


@pytest.mark.parametrize(("codec", "why"), [("one:Nothing", "AttributeError"), ("one:CODEC", "of type str")])
def test_what_is_no_codec_is_reported(describe_modules: Describe, codec: str, why: str) -> None:
    told = failure(describe_modules(codec=codec, one=CODEC + "CODEC = ''"))
    assert told.error == "HostMisconfigured"
    assert why in told.why


def test_a_comparison_that_would_be_awaited_is_refused(describe_modules: Describe) -> None:
    source = CODEC + "async def alike(expected, answer): return False"
    told = failure(describe_modules(compare="one:alike", one=source))
    assert told.error == "HostMisconfigured"
    assert "make it a plain `def`" in told.why


def test_a_description_is_read_back(tmp_path: Path, describe_modules: Describe) -> None:
    described = describe_modules(one="@activity.defn\ndef act(clip: Clip) -> Speaker: ...")
    settings = HostSettings(task_queue="any", activities=("one",))
    assert write_description(settings, tmp_path / "contract.json") == described
    assert read_description(tmp_path / "contract.json") == described


def test_a_placeholders_activity_brings_the_contract_that_was_declared(describe_modules: Describe) -> None:
    [declared] = contracts(
        describe_modules(
            one="""
            from pipeline.worker.contract import ActivityContract
            from temporalio import activity

            @activity.defn
            async def answer(argument: object) -> object:
                return 3

            answer.declared_contract = ActivityContract(
                name="answer", doc="What it does.", input={"$ref": "#/$defs/A", "$defs": {"A": {}}}, output=None
            )
            """
        )
    )
    assert declared.input == {"$ref": "#/$defs/A", "$defs": {"A": {}}}
    assert (declared.name, declared.doc, declared.output) == ("answer", "What it does.", None)
