"""Escaping, read back by a markdown parser: whatever comes in comes out as that text and as nothing else."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.github import escape

GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
UNTRUSTED = st.text() | st.text(alphabet="`|\\\n\r<>[]()*_~#@!-: &a1")

HOSTILE = [
    "<script>alert(1)</script>",
    "`; rm -rf /` ``` ~~~",
    "![x](https://example.org/x.png) [y](javascript:alert(1))",
    "a | b || c \\| d \\",
    "@octocat fixes #1 GH-2 octo/cat#3",
    "# heading\n\n- item\n> quote\n---\n1. one",
    "&lt;img src=x&gt; &amp; &#64;octocat",
    "https://example.org www.example.org me@example.org",
    "\u202egnp.exe \u2066x\u2069 \x1b[31mred",
]


def blocks(markdown: str) -> list[Any]:
    return [token for token in GITHUB.parse(markdown) if token.nesting >= 0]


def inline(markdown: str) -> list[tuple[str, str]]:
    opening, content = blocks(markdown)
    assert opening.type == "paragraph_open"
    return [(child.type, child.content) for child in content.children]


@given(UNTRUSTED)
@example("\n".join(HOSTILE))
def test_text_shows_what_it_was_given(untrusted: str) -> None:
    shown = inline(f"a {escape.text(untrusted)} z")
    plain = f"a {escape.mute(untrusted)} z" if escape.mute(untrusted) else "a  z"
    assert shown == [("text", plain)]


@given(UNTRUSTED)
@example("\n".join(HOSTILE))
def test_code_is_one_code_span(untrusted: str) -> None:
    expected = escape.one_line(untrusted)
    spans = [("code_inline", expected)] if expected else []
    assert inline(f"a:{escape.code(untrusted)}:z") == [("text", "a:"), *spans, ("text", ":z")] or not expected


@given(UNTRUSTED)
@example("\n".join(HOSTILE))
def test_block_is_one_block_that_ends_where_we_end_it(untrusted: str) -> None:
    fence, opening, after = blocks(f"{escape.block(untrusted, 'text')}\nafter")
    assert (fence.type, fence.info, opening.type, after.content) == (
        "fence",
        "text",
        "paragraph_open",
        "after",
    )
    assert fence.content == f"{escape.lines(untrusted)}\n"


def in_code(text: str) -> list[tuple[str, str]]:
    return [("html_inline", "<code>"), ("text", text), ("html_inline", "</code>")] if text else []


@given(left=UNTRUSTED, right=UNTRUSTED)
@example(left="|\\|`|`", right="\n".join(HOSTILE))
def test_a_cell_ends_where_we_end_it(left: str, right: str) -> None:
    row = f"| a | b |\n| --- | --- |\n| {escape.cell(left)} | {escape.cell(right)} |\n\nafter"
    tokens = blocks(row)
    assert [token.type for token in tokens].count("td_open") == 2
    assert tokens[-1].content == "after"
    shown = [[(c.type, c.content) for c in t.children or []] for t in tokens if t.type == "inline"][2:4]
    assert shown == [in_code(escape.one_line(left)), in_code(escape.one_line(right))]


@given(UNTRUSTED)
@example("@octocat #1 gh-7 GH-7")
def test_nobody_is_notified(untrusted: str) -> None:
    muted = escape.mute(untrusted)
    for mark in "@#":
        assert muted.count(mark) == muted.count(f"{mark}{escape.DEFUSED}")
    assert "gh-7" not in muted.lower()


@pytest.mark.parametrize("invisible", ["\u202e", "\u2066", "\x1b", "\x00", "\u2028", "\ud800"])
def test_nothing_turns_the_direction_or_reaches_the_terminal(invisible: str) -> None:
    for way in (escape.text, escape.code, escape.cell, escape.block, escape.mute):
        assert invisible not in way(f"a{invisible}b")


def test_a_link_is_made_of_an_ordinary_address_only() -> None:
    ordinary = "http://127.0.0.1:8233/namespaces/default/worker-deployments/speaker-id?x=1&y=%20"
    assert escape.link("Temporal's UI", ordinary).endswith(f"({ordinary})")
    for odd in (
        "javascript:alert(1)",
        "https://a.example/)[x](y",
        "https://u:p@a.example/",
        "https://a.example/\n",
    ):
        assert "](" not in escape.link("x", odd).replace(escape.code(odd), "")
