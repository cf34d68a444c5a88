"""`conduit stubs` without a server: from a contract file, and what it refuses."""

import os
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.cli import run
from pipeline.commands import stubs as command
from pipeline.commands.session import Session
from pipeline.report import Report

CONTRACT = "def peak(samples: list[float]) -> {result}: ...\n"
SESSION = Session(environment=os.environ, report=Report(quiet=True))


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    file = tmp_path / "contract.py"
    file.write_text(CONTRACT.format(result="float"))
    return file


@pytest.fixture
def stubs(tmp_path: Path, contract: Path) -> Path:
    file = tmp_path / "stubs.py"
    source = command.of_file(SESSION, "peaks", contract)
    assert command.write(source, file).lines() == [f"peaks: {file} was made from the contract of {contract}."]
    return file


def test_the_module_is_printed_where_no_file_is_named(contract: Path) -> None:
    source = command.of_file(SESSION, "peaks", contract)
    assert "async def peak(" in "\n".join(command.write(source, None).lines())


def test_stubs_that_fit_pass(contract: Path, stubs: Path) -> None:
    checked = command.check(command.of_file(SESSION, "peaks", contract), stubs)
    assert checked.changes == ()
    assert "fit" in checked.lines()[0]


def test_more_than_the_stubs_know_passes_and_is_told(contract: Path, stubs: Path) -> None:
    with contract.open("a") as file:
        file.write("def loudest(samples: list[float]) -> int: ...\n")
    checked = command.check(command.of_file(SESSION, "peaks", contract), stubs)
    assert "loudest" in "\n".join(checked.lines())


def test_stubs_whose_calls_would_fail_do_not_pass(contract: Path, stubs: Path) -> None:
    contract.write_text(CONTRACT.format(result="str"))
    with pytest.raises(errors.StubsOutdated) as outdated:
        command.check(command.of_file(SESSION, "peaks", contract), stubs)
    assert "breaking    output $" in outdated.value.why


def test_a_file_without_stubs_is_refused(contract: Path, tmp_path: Path) -> None:
    source = command.of_file(SESSION, "peaks", contract)
    with pytest.raises(errors.NotStubs, match="nowhere"):
        command.check(source, tmp_path / "nowhere.py")
    with pytest.raises(errors.NotStubs):
        command.check(source, contract)


def test_a_place_that_cannot_be_written_is_told(contract: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.DestinationNotWritable):
        command.write(command.of_file(SESSION, "peaks", contract), tmp_path / "no" / "folder.py")


def test_a_name_that_is_none_is_refused(contract: Path) -> None:
    with pytest.raises(errors.InvalidAlgorithmName):
        command.of_file(SESSION, "Not A Name", contract)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("peaks", "--project", "."),
        ("--project", ".", "--contract", "c.py"),
        ("peaks", "--commit", "HEAD"),
        ("peaks", "--contract", "c.py", "--output", "o.py", "--check", "o.py"),
    ],
)
def test_a_mixed_up_command_line_is_refused(arguments: tuple[str, ...]) -> None:
    assert run(["stubs", *arguments], {}) == 2
