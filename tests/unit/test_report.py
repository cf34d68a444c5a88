"""What is printed may quote strangers: neither a terminal nor a CI runner acts on it."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import cli
from pipeline.cli import output
from pipeline.errors import TestsFailed
from pipeline.report import Report, inert
from pipeline.worker.contract import ActivityContract, Contract

# As GitHub's runner reads a line: a command at its start after white space, or the older form anywhere.
RUNNER = re.compile(r"^\s*::|##\[")
HOSTILE = (
    "::set-output name=x::y",
    "  ::add-mask::secret",
    "\t::stop-commands::x",
    "text\r::error::x",
    "text\r\n::error::x",
    "a ##[add-path]/evil",
    "::::error::x",
    "\N{NO-BREAK SPACE}::error::x",
    "\x1b]0;title\x07\x1b[2J",
    "\u2028::error::x",
    "\u202ederorim",
)


def commands(text: str) -> list[str]:
    """The lines that a runner would act on."""
    return [line for line in re.split(r"\r\n|\r|\n", text) if RUNNER.search(line)]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_command_is_left_in_what_is_printed(text: str) -> None:
    assert commands(inert(text)) == []
    assert not {"\x1b", "\u202e"} & set(inert(text))


@given(st.text(alphabet=" \t\r\n:#[a\x1b\u2028"))
def test_no_text_at_all_is_a_command(text: str) -> None:
    assert commands(inert(text)) == []


def test_ordinary_text_is_printed_as_it_is() -> None:
    text = "  │ tests/test_a.py::test_b FAILED [ 50%]\n  why: a::b ## [x]\ttabs\r\nüöä ✓"
    assert inert(text) == text


def test_steps_and_failures_are_printed_so(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with report.step("verify") as detail:
        detail.append("\n::error::x")
    report.say("::add-mask::x")
    assert commands(capsys.readouterr().err) == []
    assert [(step.name, step.status, step.detail) for step in report.steps] == [
        ("verify", "ok", "\n::error::x")
    ]


def test_a_failure_is_told_without_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise TestsFailed("They failed.", why="\n::error::x\n##[error]y", log="::set-output name=a::b")

    monkeypatch.setattr("pipeline.commands.verify.verify_commit", failing)
    assert cli.run(["verify", "--json"], {}) == TestsFailed.exit_code
    printed = capsys.readouterr()
    assert commands(printed.out) + commands(printed.err) == []
    assert json.loads(printed.out)["why"] == "\n::error::x\n##[error]y"


def test_json_says_what_it_says_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    contract = Contract(
        activities=(ActivityContract(name="##[error]x\n::error::y", input=None, output=None),)
    )
    output.show(contract, True, list)
    printed = capsys.readouterr().out
    assert commands(printed) == []
    assert Contract.model_validate_json(printed) == contract


@pytest.mark.timeout(20)
def test_many_empty_lines_are_made_inert_in_no_time() -> None:
    assert inert("\n" * 200_000) == "\n" * 200_000
