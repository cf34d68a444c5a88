"""The comment on a pull request: what breaks first, and nothing of a stranger's text has an effect."""

import re

from markdown_it import MarkdownIt

from pipeline.contract.compare import compare
from pipeline.github.contract_comment import comment
from pipeline.github.summary import COMMENT_LIMIT
from pipeline.worker.contract import ActivityContract, Contract

HOSTILE = "x`|<img src=x>@everyone #1\n::set-output name=a::b"


def contract(*names: str, **properties: dict[str, str]) -> Contract:
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return Contract(
        activities=tuple(ActivityContract(name=name, doc="", input=schema, output=None) for name in names)
    )


BEFORE = contract("measure", samples={"type": "string"})


def test_nothing_changes() -> None:
    assert comment("voice", BEFORE, BEFORE) == "### ` voice `: no change for callers"


def test_a_first_contract_breaks_nobody() -> None:
    assert "Nobody calls it yet" in comment("voice", None, BEFORE)


def test_what_breaks_comes_first() -> None:
    after = contract("measure", "another", samples={"type": "string"}, rate={"type": "number"})
    said = comment("voice", BEFORE, after)
    assert said.startswith("### ` voice `: 1 change that would break callers\n")
    assert said.index("Breaks callers") < said.index("is required now") < said.index("Compatible")
    assert said.index("Compatible") < said.index("the activity is new")


def test_only_compatible_changes() -> None:
    after = contract("another", "measure", samples={"type": "string"})
    assert "1 change, none that would break callers" in comment("voice", BEFORE, after)


def test_a_strangers_names_are_text_and_nothing_else() -> None:
    after = contract("measure", HOSTILE, samples={"type": "string"}, **{HOSTILE: {"type": "string"}})
    said = comment("voice", BEFORE, after)
    assert "@everyone" not in said
    html = MarkdownIt("gfm-like", {"linkify": False}).enable("table").render(said)
    assert "<img" not in html
    assert html.count("<tr>") == 4  # two heads, and a row for each change


def test_more_changes_than_a_comment_holds_are_counted_and_what_to_do_is_still_said() -> None:
    many = {f"{number:05} {'|' * 900} {'é' * 900}": {"type": "string"} for number in range(400)}
    after = contract("measure", *(f"new-{number}" for number in range(1000)), **many)
    said = comment("voice", BEFORE, after)
    assert len(said.encode()) < COMMENT_LIMIT - 200
    assert said.startswith("### ` voice `: ")
    assert "--approve" in said
    shown = [line for line in said.splitlines() if line.startswith("| <code>")]
    left = [
        int(count.replace(",", ""))
        for count in re.findall(r"^\| … \| \| ([\d,]+) more \|$", said, re.MULTILINE)
    ]
    assert len(left) == 2
    assert len(shown) + sum(left) == len(compare(BEFORE, after))
