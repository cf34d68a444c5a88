import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from pipeline.devserver import DevServer, find_binary, sample_worker
from pipeline.errors import ServerFailed
from tests.parts.ports import free_port
from tests.parts.waiting import eventually_sync


class Dev:
    """`conduit dev` in a process of its own, from the moment it greets."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        ports = ("--port", str(self.port), "--ui-port", str(free_port()))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "dev", *ports, "--folder", str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.greeting = ""
        while "Ctrl-C" not in self.greeting:
            line = self.process.stdout.readline()
            assert line, self.greeting
            self.greeting += line
        self.children = psutil.Process(self.process.pid).children()

    def child(self, word: str) -> psutil.Process:
        return eventually_sync(
            lambda: next((child for child in self.children if word in child.cmdline()), None)
        )

    def end(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    dev = Dev(tmp_path / "dev")
    yield dev
    if dev.process.poll() is None:
        dev.process.terminate()
    dev.process.communicate(timeout=60)


async def test_dev_runs_a_server_and_keeps_its_database(dev: Dev, tmp_path: Path) -> None:
    client = await Client.connect(f"127.0.0.1:{dev.port}")
    assert await client.service_client.check_health()
    assert (tmp_path / "dev" / "temporal.db").exists()
    asked = DescribeNamespaceRequest(namespace="default")
    told = await client.workflow_service.describe_namespace(asked)
    assert told.namespace_info.capabilities.worker_poll_complete_on_shutdown
    assert f"export TEMPORAL_ADDRESS=127.0.0.1:{dev.port}" in dev.greeting


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_dev_ends_both_children(dev: Dev, sign: signal.Signals) -> None:
    dev.process.send_signal(sign)
    assert dev.end() == (0, "Stopped.\n")
    assert len(dev.children) == 2
    assert not [child for child in dev.children if child.is_running()]


def test_dev_says_which_child_ended(dev: Dev) -> None:
    dev.child("workflows.worker").kill()
    code, output = dev.end()
    assert code == ServerFailed.exit_code
    assert "error: The sample workflows' worker ended by itself." in output
    assert "why:   Its exit code is -9." in output
    assert not [child for child in dev.children if child.is_running()]


def test_a_taken_port_is_refused(dev: Dev, tmp_path: Path) -> None:
    server = DevServer(find_binary(tmp_path), tmp_path, dict(os.environ), port=dev.port)
    with pytest.raises(ServerFailed, match=f"cannot have port {dev.port}"):
        server.__enter__()


def test_a_server_that_ends_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "temporal.db").write_text("this is not a database, however often one opens it " * 100)
    with pytest.raises(ServerFailed, match="ended by itself") as failure:
        DevServer(find_binary(tmp_path), tmp_path, dict(os.environ)).__enter__()
    assert "not a database" in failure.value.log


def test_the_users_own_settings_do_not_lead_astray(tmp_path: Path) -> None:
    environment = dict(os.environ) | {"TEMPORAL_ADDRESS": "temporal.example:7233", "TEMPORAL_TLS": "true"}
    with DevServer(find_binary(tmp_path), tmp_path, environment) as server, sample_worker(server) as worker:
        connected = eventually_sync(lambda: _connections(server))
        worker.check()
    assert connected


def _connections(server: DevServer) -> list[str]:
    """The workers of the sample workflows that the server sees."""
    ask = [str(server.binary), "task-queue", "describe", "--task-queue", "speaker-workflows"]
    answer = subprocess.run(
        [*ask, "--address", server.address], capture_output=True, text=True, check=False
    ).stdout
    return [line for line in answer.splitlines() if "@" in line]


def test_the_binary_beside_the_interpreter_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "temporal"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_binary(tmp_path / "downloads") == program


def test_an_earlier_download_is_used_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "temporal-sdk-python-1.0"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert find_binary(tmp_path) == program
