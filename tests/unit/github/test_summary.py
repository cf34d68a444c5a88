"""The job summary, as markdown and as a parser reads it."""

from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.errors import TestsFailed
from pipeline.github.summary import fit, summary
from pipeline.models import Commit
from pipeline.release_report import Decision, Failure, ReleaseReport, StepResult

COMMIT = Commit(
    sha="1f" * 20,
    time=datetime(2026, 1, 2, tzinfo=UTC),
    author="Ada",
    subject="Tell voices apart",
    repo="https://git.example/acme/speaker-id",
)
PROMOTED = ReleaseReport(
    algorithm="speaker-id",
    decision="promoted",
    build_id="1f1f1f1f1f1f-abcdef",
    commit=COMMIT,
    live_build_id="1f1f1f1f1f1f-abcdef",
    live_since=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    previous_build_id="2e2e2e2e2e2e-abcdef",
    steps=(
        StepResult(name="verify", status="ok", seconds=1.25),
        StepResult(name="gate", status="skipped", detail="no examples"),
    ),
    figures={"calls": 40, "failures": 0},
    undo="conduit rollback speaker-id",
    ui_url="http://127.0.0.1:8233/namespaces/default/worker-deployments/speaker-id",
    left_out=("the check run: the token may not write it",),
)
HOSTILE = (
    "`|</code></details><script>x</script>\n# owned\n@octocat ![x](https://a.example) ::set-output name=x::y"
)


def headings(markdown: str) -> list[str]:
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    return [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]


def test_a_release_says_what_is_live_how_it_went_and_how_to_undo_it() -> None:
    markdown = summary(PROMOTED, rollback_url="https://git.example/actions/workflows/conduit-rollback.yml")
    assert headings(markdown) == [
        "✅ Build 1f1f1f1f1f1f-abcdef of speaker-id is live",
        "Steps",
        "Figures of the release",
        "How to undo it",
        "Left out",
    ]
    for said in (
        "since 2026-01-02 03:04:05 UTC",
        "<code>Tell voices apart</code> by <code>Ada</code>",
        "| <code>verify</code> | ✅ | 1.2 s |  |",
        "| <code>gate</code> | ⏭️ skipped |  | <code>no examples</code> |",
        "| <code>calls</code> | <code>40</code> |",
        "```sh\nconduit rollback speaker-id\n```",
        "[Roll back](https://git.example/actions/workflows/conduit-rollback.yml)",
        "/worker-deployments/speaker-id)",
    ):
        assert said in markdown


@pytest.mark.parametrize("decision", get_args(Decision))
def test_each_decision_has_a_headline(decision: Decision) -> None:
    markdown = summary(ReleaseReport(algorithm=None, decision=decision))
    assert len(headings(markdown)[0]) > 10


def test_a_failure_says_what_why_and_what_to_do_before_anything_else() -> None:
    error = TestsFailed(
        "Two tests failed.", why="a\nb", now="Run `pytest` in the repo.", log="E  assert 1 == 2"
    )
    report = ReleaseReport(algorithm="speaker-id", decision="failed", failure=Failure.of(error))
    markdown = summary(report)
    order = ["not released", "Two tests failed", "```text\na\nb\n```", "What to do now", "E  assert 1 == 2"]
    assert [markdown.index(said) for said in order] == sorted(markdown.index(said) for said in order)


def test_hostile_text_adds_no_heading_no_tag_and_no_command() -> None:
    commit = COMMIT.model_copy(update={"subject": HOSTILE, "author": HOSTILE})
    report = PROMOTED.model_copy(
        update={
            "commit": commit,
            "steps": (StepResult(name=HOSTILE[:100], status="failed", detail=HOSTILE),),
            "figures": {HOSTILE: HOSTILE},
            "left_out": (HOSTILE,),
            "ui_url": f"https://a.example/){HOSTILE}",
            "failure": Failure(what=HOSTILE, why=HOSTILE.replace("\n", " "), now=HOSTILE, log=HOSTILE),
        }
    )
    markdown = summary(report)
    assert "owned" not in headings(markdown)
    assert headings(markdown) == headings(summary(PROMOTED))
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    inline = [child for token in tokens for child in token.children or []]
    html = {
        token.content.strip() for token in [*tokens, *inline] if token.type in ("html_inline", "html_block")
    }
    assert html == {"<code>", "</code>", "<details><summary>End of the log</summary>", "</details>"}
    assert not any(child.type == "image" for child in inline)


def test_only_a_log_is_cut_to_its_end() -> None:
    report = PROMOTED.model_copy(update={"failure": Failure(what="x", log="a" * 2_000_000 + "the cause")})
    markdown = summary(report)
    assert "the cause" in markdown
    assert len(markdown.encode()) < 40_000


@settings(max_examples=50)
@given(st.lists(st.text(), max_size=8), st.integers(min_value=100, max_value=400))
def test_what_is_joined_fits_and_begins_with_the_first_parts(parts: list[str], limit: int) -> None:
    joined = fit(parts, limit)
    whole = "\n\n".join(parts) + "\n"
    assert len(joined.encode()) <= limit
    assert joined == whole or "More was left out" in joined


def test_a_summary_of_any_size_fits() -> None:
    report = PROMOTED.model_copy(update={"figures": {f"figure {i}": "x" * 100 for i in range(20_000)}})
    markdown = summary(report)
    assert len(markdown.encode()) <= 1024 * 1024
    assert "More was left out" in markdown
