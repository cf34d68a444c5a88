"""mypy and pyright accept right calls of the stubs and find each wrong one."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

RIGHT = """
from datetime import timedelta
from temporalio.common import RetryPolicy
from stubs import Clip, Level, Segment, Speech, Music, choose, count, identify_speaker, split_audio_v2


async def run() -> str:
    clip = Clip(wav=b"", level=Level.loud, segments=[Segment(start=1.0)])
    speech: Speech = await identify_speaker(clip)
    page = await split_audio_v2(clip, start_to_close_timeout=timedelta(hours=1), task_queue="batch")
    first: Segment = page.items[0]
    number: int = await count([clip], retry_policy=RetryPolicy(maximum_attempts=3), summary="clips")
    chosen = await choose(Level.quiet)
    if isinstance(chosen, Music):
        return f"{chosen.bpm} {number} {first.start}"
    return speech.speaker
"""

WRONG = [
    'await identify_speaker("clip")',
    "await identify_speaker()",
    "await identify_speaker(Segment(start=1.0))",
    "await identify_speaker(clip, start_to_close=timedelta(1))",
    "await identify_speaker(clip, start_to_close_timeout=30)",
    "await count(clip)",
    'await choose("loud")',
    "Clip()",
    'Clip(wav="text")',
    'Clip(wav=b"", level="loud")',
    'Clip(wav=b"", bitrate=3)',
    "(await identify_speaker(clip)).name",
    "text: str = await count([clip])",
    "(await choose(Level.loud)).kind",
    'Music(kind="speech")',
]

FRAME = """
from datetime import timedelta
from stubs import Clip, Level, Music, Segment, choose, count, identify_speaker


async def run(clip: Clip) -> None:
"""


@pytest.fixture(scope="session")
def engineers(tmp_path_factory: pytest.TempPathFactory, research_stubs: str) -> Path:
    """An engineer's repo: the stubs, right calls, and wrong ones a line each."""
    repo = tmp_path_factory.mktemp("engineers")
    (repo / "stubs.py").write_text(research_stubs)
    (repo / "right.py").write_text(RIGHT)
    (repo / "wrong.py").write_text(FRAME + "".join(f"    {line}\n" for line in WRONG))
    return repo


def expected_lines() -> set[int]:
    first = FRAME.count("\n") + 1
    return set(range(first, first + len(WRONG)))


def test_mypy_finds_each_wrong_call_and_nothing_else(engineers: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=.cache", "."]
    result = subprocess.run(command, cwd=engineers, capture_output=True, text=True, check=False)
    errors = re.findall(r"^(\w+\.py):(\d+): error", result.stdout, re.MULTILINE)

    assert {file for file, _ in errors} == {"wrong.py"}, result.stdout
    assert {int(line) for _, line in errors} == expected_lines(), result.stdout


def test_pyright_finds_each_wrong_call_and_nothing_else(engineers: Path) -> None:
    (engineers / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    result = subprocess.run(command, cwd=engineers, capture_output=True, text=True, check=False)
    report = json.loads(result.stdout)
    errors = [each for each in report["generalDiagnostics"] if each["severity"] == "error"]

    assert {Path(each["file"]).name for each in errors} == {"wrong.py"}, errors
    assert {each["range"]["start"]["line"] + 1 for each in errors} == expected_lines(), errors
