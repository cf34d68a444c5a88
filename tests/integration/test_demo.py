import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from temporalio.client import Client

from pipeline.errors import DemoFailed

pytestmark = pytest.mark.timeout(600)  # a loaded machine takes several times as long as a quiet one
ROW = re.compile(r"^(speaker-stream-\d)? +([\w.-]+) +(\d+) +(\w*) *$", re.MULTILINE)
"""A build's calls of a workflow, which is named before the first of them."""


class Demo:
    """`conduit demo` as a process, for a user who has configured nothing."""

    def __init__(self, folder: Path) -> None:
        for name in ("home", "temporary"):
            (folder / name).mkdir()
        self.temporary = folder / "temporary"
        environment = {
            name: text for name, text in os.environ.items() if not name.startswith(("GIT_", "XDG_"))
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "demo"],
            env=environment | {"HOME": str(folder / "home"), "TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def says(self, beginning: str) -> None:
        """Read its output up to a line that begins so."""
        assert self.process.stdout is not None
        told = []
        for line in self.process.stdout:
            told.append(line)
            if line.startswith(beginning):
                return
        raise AssertionError("".join(told))

    @property
    def server(self) -> str:
        """The address of its Temporal server."""
        commands = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
        [command] = [c for c in commands if "start-dev" in c and any(str(self.temporary) in a for a in c)]
        return f"127.0.0.1:{command[command.index('--port') + 1]}"

    def left_behind(self) -> list[str]:
        """Files in its temporary folder, and processes that were started in there."""
        mark = str(self.temporary)
        lines = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
        folders = [str(folder) for folder in self.temporary.glob("conduit-demo-*")]
        return [*folders, *(line for line in lines if mark in line)]


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


def test_the_demo_shows_and_checks_what_it_promises(demo: Demo) -> None:
    output, _ = demo.process.communicate(timeout=500)
    assert demo.process.returncode == 0, output
    streams: list[list[tuple[str, str]]] = []
    for name, build, _, heard in ROW.findall(output):
        if name:
            streams.append([])
        streams[-1].append((build, heard))
    assert len(streams) == 3, output
    for (first, wrong), *_, (better, right), (last, again) in streams:
        assert first == last != better
        assert (wrong, right, again) == ("carlos", "bruno", "carlos")
    assert demo.left_behind() == []


async def test_the_demo_fails_where_a_running_workflow_does_not_change(demo: Demo) -> None:
    await asyncio.to_thread(demo.says, "5. ")
    client = await Client.connect(demo.server)
    await client.get_workflow_handle("speaker-stream-2").terminate()
    output, _ = await asyncio.to_thread(demo.process.communicate, timeout=240)
    assert demo.process.returncode == DemoFailed.exit_code, output
    assert "speaker-stream-2 failed: workflow_execution_terminated" in output
    assert "Checked:" not in output
    assert demo.left_behind() == []


def test_the_demo_stops_what_it_started_when_it_is_interrupted(demo: Demo) -> None:
    demo.says("5. ")
    demo.process.send_signal(signal.SIGTERM)
    output, _ = demo.process.communicate(timeout=120)
    assert demo.process.returncode == 130, output
    assert demo.left_behind() == []
