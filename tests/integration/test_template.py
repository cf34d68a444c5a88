"""The rendered research repo in an environment of its own, as a researcher has it. Needs a package index."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

from pipeline.scaffold import improve, render
from workflows.models import AudioClip

ROOT = Path(__file__).parents[2]
READ_A_CLIP = """
import sys
from voice.activities import identify_speaker
from voice.models import AudioClip
print(identify_speaker(AudioClip.model_validate_json(sys.stdin.read())).model_dump_json())
"""


RENDER_AND_TELL_WHENCE = """
import pathlib, sys
import pipeline.scaffold
pipeline.scaffold.render("voice", pathlib.Path(sys.argv[1]))
print(pathlib.Path(pipeline.scaffold.__file__).parent)
"""
SHIPPED = ("pyproject.toml", "README.md", "LICENSE", "pipeline", "activity_template", "workflows")


def run(*command: str | Path, cwd: Path, text: str = "", path: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command as if no environment were active, with `path` on Python's."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=environment | {"PYTHONPATH": path},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(*command: str | Path, cwd: Path, text: str = "", path: str = "") -> str:
    done = run(*command, cwd=cwd, text=text, path=path)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with what the rendered repo asks for, and the repo itself."""
    folder = tmp_path_factory.mktemp("fresh")
    repo = render("voice", folder / "voice").folder
    uv = find_uv_bin()
    succeed(uv, "venv", "--python", sys.executable, folder / "venv", cwd=repo)
    python = folder / "venv" / "bin" / "python"
    succeed(uv, "pip", "install", "--python", python, ".", "--group", "dev", cwd=repo)
    return python


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return render("voice", tmp_path / "voice").folder


def expect_all_held_out_clips(repo: Path) -> None:
    tests = repo / "tests" / "test_model.py"
    text = tests.read_text()
    assert "RECOGNISED = 5\n" in text
    tests.write_text(text.replace("RECOGNISED = 5\n", "RECOGNISED = 8\n"))


class TestInAFreshEnvironment:
    def test_its_tests_pass(self, python: Path, repo: Path) -> None:
        assert " passed" in succeed(python, "-m", "pytest", cwd=repo)

    def test_its_tests_pass_with_the_better_model(self, python: Path, repo: Path) -> None:
        improve(repo)
        assert " passed" in succeed(python, "-m", "pytest", cwd=repo)

    def test_the_better_model_recognises_every_held_out_clip_and_the_first_does_not(
        self, python: Path, repo: Path
    ) -> None:
        expect_all_held_out_clips(repo)
        first = run(python, "-m", "pytest", "-q", cwd=repo)
        assert "1 failed" in first.stdout
        assert "test_held_out_clips_are_recognised" in first.stdout
        improve(repo)
        succeed(python, "-m", "pytest", "-q", cwd=repo)

    def test_the_clips_are_installed_with_it(self, python: Path, tmp_path: Path) -> None:
        load = "from voice import model; print(*model.load())"
        assert succeed(python, "-c", load, cwd=tmp_path).split() == ["alice", "bruno", "carlos", "diana"]

    def test_it_reads_the_clips_that_the_engineers_workflows_send(self, python: Path, repo: Path) -> None:
        clip = AudioClip(wav=(repo / "tests" / "clips" / "diana-volume.wav").read_bytes())
        answer = succeed(python, "-c", READ_A_CLIP, cwd=repo, text=clip.model_dump_json())
        assert '"speaker":"diana"' in answer


@pytest.mark.parametrize("model", ["first", "better"])
def test_the_types_hold(repo: Path, model: str) -> None:
    if model == "better":
        improve(repo)
    succeed(sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "src", "tests", cwd=repo)


def test_the_wheel_carries_the_template(tmp_path: Path) -> None:
    """Installed from a wheel, with no checkout beside it, the package renders the same files."""
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name in SHIPPED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    succeed(find_uv_bin(), "build", "--wheel", "--out-dir", tmp_path / "dist", cwd=source)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)

    installed = tmp_path / "from-the-wheel"
    whence = succeed(sys.executable, "-c", RENDER_AND_TELL_WHENCE, installed, cwd=tmp_path, path=str(site))
    assert whence.strip() == str(site / "pipeline")
    assert files(installed) == files(render("voice", tmp_path / "from-the-checkout").folder)
    assert not [path for path in site.rglob("*") if path.name == "__pycache__" and "_shipped" in path.parts]


def files(folder: Path) -> dict[Path, bytes]:
    """The content of every file that is not git's own."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }
