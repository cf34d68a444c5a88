import os
import tarfile
from pathlib import Path

import pytest

from pipeline.build.context import DOCKERFILE, EPOCH, Code, lay_out
from pipeline.worker.settings import HostSettings

ARCHIVES = ("host.tar", "assets.tar", "source.tar")


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A commit laid out with the repo's own package installed beside it."""
    for name, text in {
        "source/algo/model.py": "x = 1",
        "source/algo/__pycache__/model.pyc": "not this",
        "source/run.sh": "#!/bin/sh",
        "source/clips/ada.wav": "RIFF",
        "code/algo/__init__.py": "",
        "code/algo/bin/tool": "kept: not a script of the installer's",
        "code/bin/algo": "#!/this/machine/python",
        "code/algo-1.dist-info/METADATA": "Name: algo",
        "code/algo-1.dist-info/direct_url.json": "file:///this/machine",
        "code/algo-1.dist-info/RECORD": "direct_url.json",
        "host/pipeline/worker/host.py": "",
        "requirements.txt": "pydantic==2.0 --hash=sha256:0",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "source/run.sh").chmod(0o700)
    (tmp_path / "source/latest").symlink_to("clips/ada.wav")
    return tmp_path


def laid_out(staged: Path, name: str) -> Path:
    folder = staged / name
    folder.mkdir()
    lay_out(
        folder,
        code=Code(source=staged / "source", project="algo", search=(staged / "code", staged / "source/algo")),
        host=staged / "host",
        settings=HostSettings(task_queue="algo", activities=("algo",)),
        requirements=staged / "requirements.txt",
        dockerfile=DOCKERFILE,
    )
    return folder


def files(archive: Path) -> dict[str, int]:
    with tarfile.open(archive) as tar:
        return {entry.name: entry.mode for entry in tar if entry.isfile()}


def test_the_code_is_found_in_the_image_as_on_this_machine(tmp_path: Path) -> None:
    source = tmp_path / "source"
    code = Code(source=source, project="a/b", search=(tmp_path / "code", source / "a/b/src", source / "a/b"))
    assert code.pythonpath == "/app/code:/app/source/a/b/src:/app/source/a/b:/conduit"
    assert str(code.workdir) == "/app/source/a/b"


def test_the_archives_hold_the_commit_and_nothing_of_this_machine(staged: Path) -> None:
    folder = laid_out(staged, "context")
    assert files(folder / "source.tar") == {
        "app/source/algo/model.py": 0o644,
        "app/code/algo/__init__.py": 0o644,
        "app/code/algo-1.dist-info/METADATA": 0o644,
    }
    assert files(folder / "assets.tar") == {
        "app/source/run.sh": 0o755,
        "app/source/clips/ada.wav": 0o644,
        "app/code/algo/bin/tool": 0o644,
    }
    with tarfile.open(folder / "assets.tar") as tar:
        link = tar.getmember("app/source/latest")
    assert (link.issym(), link.linkname) == (True, "clips/ada.wav")


def test_a_change_of_the_code_changes_one_archive(staged: Path) -> None:
    before = laid_out(staged, "before")
    (staged / "source/algo/model.py").write_text("x = 2")
    after = laid_out(staged, "after")
    changed = [
        file.name for file in before.iterdir() if file.read_bytes() != (after / file.name).read_bytes()
    ]
    assert changed == ["source.tar"]


def test_every_entry_has_the_same_time_and_owner(staged: Path) -> None:
    folder = laid_out(staged, "context")
    for name in ARCHIVES:
        with tarfile.open(folder / name) as tar:
            assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in tar} == {(EPOCH, 0, 0, "")}


def test_all_parent_folders_are_in_the_archive(staged: Path) -> None:
    """The builder would give one that is missing the present time."""
    folder = laid_out(staged, "context")
    for name in ARCHIVES:
        with tarfile.open(folder / name) as tar:
            names = set(tar.getnames())
        assert {str(Path(entry).parent) for entry in names} <= names | {"."}


def test_equal_commits_give_equal_bytes(staged: Path) -> None:
    first = laid_out(staged, "first")
    os.utime(staged / "source/algo/model.py", (1, 1))
    second = laid_out(staged, "second")
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes()


def test_the_host_gets_its_settings(staged: Path) -> None:
    with tarfile.open(laid_out(staged, "context") / "host.tar") as tar:
        settings = tar.extractfile("conduit/settings.json")
        assert settings is not None
        assert HostSettings.model_validate_json(settings.read()).activities == ("algo",)
