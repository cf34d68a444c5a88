"""A name that can be no algorithm's is refused by every command that takes one, before anything is asked with it."""

from pathlib import Path

import pytest

from pipeline.cli import run
from pipeline.errors import InvalidAlgorithmName

NAMES = ('x" OR WorkflowId != "', "../../etc", "Ä", "", "a" * 64, "a\nb")


@pytest.mark.parametrize("option", ["--port", "--ui-port"])
@pytest.mark.parametrize("port", ["0", "65536", "-1", "x"])
def test_a_port_is_one(option: str, port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUIT_HOME", str(tmp_path))
    assert run(["dev", option, port], {}) == 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "command",
    [
        *(["status"], ["history"], ["retire"], ["rollback"], ["pause"], ["resume"], ["promote"], ["abort"]),
        *(["stubs"], ["placeholder", "--contract", "none.py"]),
        ["backfill", "--build", "b", "--output", "none.jsonl"],
    ],
    ids=lambda command: command[0],
)
def test_what_can_be_no_algorithms_name_is_refused(
    command: list[str], name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert run([*command, name], {}) == InvalidAlgorithmName.exit_code
    told = capsys.readouterr().err
    assert "cannot name an algorithm" in told
    assert "Traceback" not in told
