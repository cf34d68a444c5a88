"""How a run of the command line ends, whatever becomes of its streams, its machine and its server."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure, NotFoundFailure
from temporalio.service import RPCError, RPCStatusCode

from pipeline import cli
from pipeline.cli.options import _reason
from pipeline.commands.foreseen import foreseen
from pipeline.deployments import is_absent
from pipeline.errors import DestinationNotWritable, NotARepository, TemporalRefused
from tests.parts.waiting import eventually_sync

ROOT = Path(__file__).parents[2]
NONE: Mapping[str, str] = {}
CONDUIT = (sys.executable, "-m", "pipeline")
REFUSED = ("verify", "--project", "ä/nowhere", "--json")

# `deliver` blocks its event loop while the tests run, as this does.
BLOCKING = """
import os, sys
from pathlib import Path
import pipeline.commands.deliver as deliver
from pipeline import cli, command

async def blocks(*_):
    program = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
    command.run([sys.executable, "-c", program, os.environ["PID"]], cwd=Path(), environment=os.environ)

deliver.deliver = blocks
sys.argv = ["conduit", "deliver", "--json"]
cli.main()
"""


def shell(
    command: str, *, cwd: Path = ROOT, variables: Mapping[str, str] = NONE
) -> subprocess.CompletedProcess[str]:
    """Run a command line, in which `$CONDUIT` and `$REFUSED` stand for programs, through a shell."""
    told = {"PYTHONPATH": str(ROOT), "CONDUIT": " ".join(CONDUIT), "REFUSED": " ".join((*CONDUIT, *REFUSED))}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env={**os.environ, **told, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "streams", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>&1"]
)
def test_streams_that_are_closed_or_full_do_not_change_the_exit_code(streams: str) -> None:
    ended = shell(f"$REFUSED {streams}")
    assert ended.returncode == NotARepository.exit_code
    if ended.stdout:
        assert json.loads(ended.stdout)["error"] == "NotARepository"


def test_a_reader_that_has_gone_is_not_told_any_more() -> None:
    program = "import sys; from pipeline.cli.output import print_text as p; p('a' * 100_000); p('b'); "
    program += "print('left', file=sys.stderr)"
    ended = shell(f'set -o pipefail; {sys.executable} -c "{program}" | true')
    assert (ended.returncode, ended.stderr) == (0, "left\n")


def test_a_result_that_the_disk_does_not_take_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    ended = shell("$CONDUIT new speaker-id >/dev/full", cwd=tmp_path)
    assert ended.returncode == DestinationNotWritable.exit_code
    assert "why:   No space left on device" in ended.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_no_encoding_of_a_terminal_is_a_failure(encoding: str) -> None:
    program = "from pipeline.cli import output, running; "
    program += "running.run = lambda *_: output.print_text('→ ✓') or 0; running.main()"
    ended = shell(f'{sys.executable} -c "{program}"', variables={"PYTHONIOENCODING": encoding})
    assert (ended.returncode, ended.stdout) == (0, "\\u2192 \\u2713\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_command_ends_at_once_what_it_waits_for(number: signal.Signals, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = subprocess.Popen(
        [sys.executable, "-c", BLOCKING],
        env={**os.environ, "PID": str(pid)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    eventually_sync(lambda: pid.exists() and bool(pid.read_text()), within=60)
    command.send_signal(number)
    out, err = command.communicate(timeout=30)
    assert (command.returncode, err) == (130, "interrupted\n")
    assert json.loads(out)["exit_code"] == 130
    assert not psutil.pid_exists(int(pid.read_text()))


def test_a_fault_of_our_own_is_json_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise AssertionError("never")

    monkeypatch.setattr("pipeline.commands.verify.verify_commit", failing)
    assert cli.run(["verify", "--json"], {}) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"] == "Unforeseen"
    assert "AssertionError: never" in printed.err


def refusal(status: RPCStatusCode, detail: NamespaceNotFoundFailure | NotFoundFailure) -> RPCError:
    told = GrpcStatus(code=status, message="not found")
    told.details.add().Pack(detail)
    return RPCError("not found", status, told.SerializeToString())


def test_a_namespace_that_is_not_there_is_not_taken_for_one_without_the_algorithm() -> None:
    namespace = refusal(RPCStatusCode.NOT_FOUND, NamespaceNotFoundFailure(namespace="n"))
    assert not is_absent(namespace)
    assert is_absent(refusal(RPCStatusCode.NOT_FOUND, NotFoundFailure()))
    error = foreseen(namespace)
    assert isinstance(error, TemporalRefused)
    assert "TEMPORAL_NAMESPACE" in error.now


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOTDIR])
def test_a_file_system_that_takes_nothing_is_no_fault_of_our_own(number: int) -> None:
    error = foreseen(OSError(number, os.strerror(number), "/home/builds"))
    assert isinstance(error, DestinationNotWritable)
    assert error.what == "/home/builds cannot be written."


def test_an_error_that_means_nothing_else_is_a_fault_of_our_own() -> None:
    assert foreseen(FileNotFoundError(errno.ENOENT, "no", "x")) is None
    assert foreseen(KeyError("x")) is None


def test_a_reason_is_cut_off_where_the_history_ends_it() -> None:
    kept = _reason("ä" * 2000 + "\udcff")
    assert (len(kept), kept[-2:]) == (1000, "ä…")
    assert _reason("a\udcff") == "a?"
