"""Names, words and values that a stranger chose cannot become code in an engineer's repo."""

import keyword
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stubs import generate
from pipeline.stubs.names import RESERVED, class_name, function_name, plain_words, unused
from pipeline.stubs.vetting import UnexpectedCode, vetted
from pipeline.worker.contract import ActivityContract, Contract, Schema
from tests.unit.stubs.conftest import Importer

ENDINGS = [
    "",
    '"',
    "'",
    '"""',
    "'''",
    "\\",
    '\\"',
    '\\"""',
    "\n",
    '"""\n',
    ")",
    '")',
    "]",
    "#",
    "{",
    "}}",
    "\r",
    "\x00",
]


def attacks(trace: Path) -> list[str]:
    """Texts that leave a trace if they are ever run."""
    run = f'__import__("pathlib").Path({str(trace)!r}).touch()'
    return [
        f"{ending}{joint}{run}{after}"
        for ending in ENDINGS
        for joint in ("\n", ";", " + ")
        for after in ("", "#")
    ]


def hostile_schema(text: str) -> Schema:
    name = f"M{text}"
    reference = f"#/$defs/{name}".replace("~", "~0")
    model = {
        "type": "object",
        "title": text,
        "description": text,
        "examples": [text],
        text: text,
        "properties": {
            text: {"type": "string", "description": text, "default": text, "title": text},
            "choice": {"enum": [text, "b"], "default": text},
            "constant": {"const": text, "default": text},
            "pattern": {"type": "string", "pattern": "^a$", "format": text},
            "class": {"type": "string"},
            "model_config": {"type": "string"},
            "__class__": {"type": "string"},
            "self": {"$ref": reference},
            "dated": {"type": "string", "format": "date", "default": text},
            "keyed": {"type": "object", "patternProperties": {"^x": {"type": "integer"}}},
        },
        "required": [text, "choice"],
    }
    choices = {"enum": [text, f"{text}2", "__class__", "mro", ""], "title": text, "description": text}
    return {
        "$defs": {name: model, f"E{text}": choices},
        "title": text,
        "description": text,
        "type": "object",
        "properties": {"a": {"$ref": reference}, "b": {"$ref": f"#/$defs/E{text}".replace("~", "~0")}},
    }


def hostile_contract(texts: list[str]) -> Contract:
    numbered = zip(count(), texts, strict=False)
    activities = [
        ActivityContract(name=f"{text}{n}", doc=text, input=hostile_schema(text), output=hostile_schema(text))
        for n, text in numbered
    ]
    return Contract(activities=tuple(activities))


def test_no_text_of_a_contract_is_run(imported: Importer, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    contract = hostile_contract(attacks(trace)[::4])
    stubs = imported(generate("speaker-id", contract))

    assert not trace.exists()
    values = {
        member.value for each in vars(stubs).values() if hasattr(each, "__members__") for member in each
    }
    assert set(attacks(trace)[::4]) <= values


@pytest.mark.parametrize("pattern", ['"', "'''", r'\\"', "a\nb", '""" + __import__("os")', "^[\"'\\\\]+$"])
def test_a_pattern_stays_a_pattern(imported: Importer, pattern: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    contract = Contract(activities=(ActivityContract(name="f", input=schema, output=None),))
    stubs = imported(generate("speaker-id", contract))

    (metadata,) = stubs.FInput.model_fields["a"].metadata
    assert metadata.pattern == pattern


@pytest.mark.parametrize(
    "title", [*sorted(RESERVED - set(keyword.kwlist))[::9], "Message", "Field", "Enum", "str"]
)
def test_a_model_takes_no_name_that_the_module_needs(title: str) -> None:
    assert unused(class_name(title), ()) not in RESERVED


@settings(deadline=None)
@given(text=st.text(), taken=st.sets(st.sampled_from(["A", "a", "AModel", "A2"])))
def test_any_text_makes_a_name(text: str, taken: set[str]) -> None:
    for name in (unused(class_name(text), taken), unused(function_name(text), taken)):
        assert name.isidentifier()
        assert name.isascii()
        assert name not in taken | RESERVED
        assert not name.startswith("_")


@settings(deadline=None)
@given(text=st.text() | st.text('"\\#\n\u2028\x00 a'))
def test_words_end_no_string(text: str) -> None:
    words = plain_words(text)

    assert words.isprintable()
    assert not set('"\\') & set(words)


BASE = "bases"
GOOD = """
from enum import Enum
from typing import Annotated, Literal
from pydantic import ConfigDict, Field
from bases import Message
from typing_extensions import TypeAliasType

class Level(Enum):
    quiet = "quiet"
    low = -1

class Clip(Message):
    '''Words.'''
    model_config = ConfigDict(extra="forbid")
    class_: Annotated[str | None, Field(alias="class")] = None
    level: Level = Level.quiet
    others: list["Clip"] = []
    choice: Literal["anything at all"]

Clips = TypeAliasType("Clips", list[Clip])

Clip.model_rebuild()
"""


def test_declarations_pass() -> None:
    assert len(vetted(GOOD, BASE).body) == 9


def within(line: str) -> str:
    return GOOD.replace("    others:", f"    {line}\n    others:")


BAD: list[Any] = [
    pytest.param("import os", id="import"),
    pytest.param("from os import system", id="other module"),
    pytest.param("from enum import Enum as str", id="renamed import"),
    pytest.param("from pydantic import *", id="star"),
    pytest.param("from os import Enum", id="known name of another module"),
    pytest.param("from enum import Enum as date_aliased", id="another's alias"),
    pytest.param("from builtins import eval as eval_aliased", id="other builtin"),
    pytest.param("print(1)", id="call"),
    pytest.param("x = 1", id="assignment"),
    pytest.param("@Field\nclass X(Message): pass", id="decorator"),
    pytest.param("class X(Message, metaclass=Enum): pass", id="metaclass"),
    pytest.param("class X(print()): pass", id="base"),
    pytest.param("def f(): pass", id="function"),
    pytest.param("Clip.model_rebuild(_types_namespace={})", id="rebuild with arguments"),
    pytest.param("Clip.parse_raw()", id="other method"),
    pytest.param(within("x: int = eval('1')"), id="call in a default"),
    pytest.param(within("x: int = Field(default_factory=lambda: 1)"), id="lambda"),
    pytest.param(within("x: int = Level.__class__"), id="dunder attribute"),
    pytest.param(within("x: int = Level.quiet.value"), id="deep attribute"),
    pytest.param(within("x: 'print(1)'"), id="text as annotation"),
    pytest.param(within("x: list['print(1)']"), id="text in an annotation"),
    pytest.param(within("x: print"), id="builtin"),
    pytest.param(within("x: int = [y for y in ()]"), id="comprehension"),
    pytest.param(within("x: int = f'{1}'"), id="f-string"),
    pytest.param(within("x: int = (y := 1)"), id="walrus"),
    pytest.param(within("def f(self): pass"), id="method"),
    pytest.param(within("x = ConfigDict()"), id="plain assignment of a call"),
    pytest.param(within("print(1)"), id="call in a class"),
    pytest.param("not python", id="syntax"),
    pytest.param("x = '\x00'", id="null byte"),
]


@pytest.mark.parametrize("code", BAD)
def test_anything_else_does_not(code: str) -> None:
    with pytest.raises(UnexpectedCode):
        vetted(code if code.startswith(GOOD[:10]) else f"{GOOD}\n{code}\n", BASE)
