"""`conduit stubs` from research repos: the template and a real package; type checkers know right from wrong."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.demo import RESEARCHER
from tests.parts.conduit import Conduit
from tests.parts.repos import CONFIGURED, LANGUAGE, PROJECT, make_repo

CALLS = """
from speaker import AudioClip, SpeakerID, identify_speaker
from language import Language, TextInput, detect


async def right(wav: bytes) -> str:
    speaker: SpeakerID = await identify_speaker(AudioClip(wav=wav), summary="mine")
    language: Language = await detect(TextInput(text=speaker.speaker))
    return language.code


async def wrong() -> None:
    await identify_speaker("clip")
    await identify_speaker(AudioClip(wav="text"))
    await detect(TextInput())
    (await detect(TextInput(text="a"))).speaker
"""
WRONG = {13, 14, 15, 16}


@pytest.fixture(scope="module")
def engineers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engineer's folder with stubs of both repos."""
    folder = tmp_path_factory.mktemp("engineers")
    conduit = Conduit(home=folder / "home", environment=RESEARCHER)
    conduit.good("new", "speaker-id", "--into", str(folder))
    pyproject = PROJECT.replace('["temporalio"]', '["temporalio", "py3langid"]') + CONFIGURED
    make_repo(folder / "languages", {"pyproject.toml": pyproject, "activities.py": LANGUAGE})
    code = folder / "code"
    code.mkdir()
    for repo, module in (("speaker-id", "speaker"), ("languages", "language")):
        project = ("stubs", "--project", str(folder / repo))
        conduit.good(*project, "--output", str(code / f"{module}.py"))
        assert conduit.good(*project, "--check", str(code / f"{module}.py"), "--json").json["changes"] == []
    (code / "calls.py").write_text(CALLS)
    return code


def test_mypy_accepts_the_right_calls_and_rejects_each_wrong_one(engineers: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=.cache", "."]
    found = subprocess.run(command, cwd=engineers, capture_output=True, text=True, check=False)
    errors = re.findall(r"^(\w+\.py):(\d+): error", found.stdout, re.MULTILINE)
    assert {(file, int(line)) for file, line in errors} == {("calls.py", line) for line in WRONG}, (
        found.stdout
    )


def test_pyright_accepts_the_right_calls_and_rejects_each_wrong_one(engineers: Path) -> None:
    (engineers / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "standard"}))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    found = subprocess.run(command, cwd=engineers, capture_output=True, text=True, check=False)
    errors = [e for e in json.loads(found.stdout)["generalDiagnostics"] if e["severity"] == "error"]
    places = {(Path(e["file"]).name, e["range"]["start"]["line"] + 1) for e in errors}
    assert places == {("calls.py", line) for line in WRONG}, errors


def test_the_templates_clip_goes_over_exactly(engineers: Path) -> None:
    program = (
        "from speaker import AudioClip; sent = AudioClip(wav=bytes(range(256))).model_dump_json(); "
        "assert AudioClip.model_validate_json(sent).wav == bytes(range(256)); print(sent)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=engineers, capture_output=True, text=True, check=True
    )
    research = engineers.parent / "speaker-id" / "src"
    read = (
        "import sys; from speaker_id.models import AudioClip; "
        "assert AudioClip.model_validate_json(sys.stdin.read()).wav == bytes(range(256))"
    )
    command = [sys.executable, "-c", read]
    subprocess.run(command, cwd=research, input=found.stdout, text=True, check=True)
