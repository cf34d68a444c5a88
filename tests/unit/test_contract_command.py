"""`conduit contract`, on contracts of files."""

import json
from pathlib import Path

import pytest

from pipeline.cli import run
from pipeline.contract import approval
from pipeline.errors import ContractBroken
from pipeline.stubs import generate
from pipeline.worker.contract import Contract
from tests.unit.contract.contracts import contract_of
from tests.unit.gates.test_plan import NEW, OLD


def file_of(contract: Contract, file: Path) -> str:
    file.write_text(contract.model_dump_json())
    return str(file)


def test_a_contract_is_shown_and_as_json_is_a_contract_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = file_of(contract_of(argument=int, result=list[str], doc="Count."), tmp_path / "c.json")
    assert run(["contract", "--file", file], {}) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "identify  Count.",
        "  takes integer",
        "  gives list of string",
    ]
    assert run(["contract", "--file", file, "--json"], {}) == 0
    assert Contract.model_validate_json(capsys.readouterr().out) == Contract.model_validate_json(
        Path(file).read_bytes()
    )


def test_a_breaking_change_has_an_exit_code_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = file_of(OLD, tmp_path / "old.json"), file_of(NEW, tmp_path / "new.json")
    assert run(["contract", "diff", "--file", new, "--against", old], {}) == ContractBroken.exit_code
    told = capsys.readouterr().out
    assert "breaking    input $.level: is required now" in told
    assert "approve-breaking" in told
    assert run(["contract", "diff", "--file", new, "--against", old, "--json"], {}) == 92
    found = json.loads(capsys.readouterr().out)
    assert found["breaking"] is True
    assert found["approval"] in told
    assert run(["contract", "diff", "--file", old, "--against", new], {}) == 0
    assert "compatible  input $.level" in capsys.readouterr().out


def test_stubs_are_compared_with_by_the_contract_that_they_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stubs = tmp_path / "speaker_id.py"
    stubs.write_text(generate("speaker-id", OLD))
    same, new = file_of(OLD, tmp_path / "old.json"), file_of(NEW, tmp_path / "new.json")
    assert run(["contract", "diff", "--file", same, "--against", str(stubs)], {}) == 0
    assert "Nothing that callers see changed" in capsys.readouterr().out
    assert run(["contract", "diff", "--file", new, "--against", str(stubs)], {}) == 92


def test_options_that_exclude_each_other_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contract", "--file", "a", "--live", "b"], {}) == 2
    assert run(["contract", "diff", "--against", "a", "--against-live", "b"], {}) == 2
    assert approval(()) == ""
