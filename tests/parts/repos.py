"""Small research repos, written and committed with a fixed identity."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

IDENTITY = (
    "-c",
    "user.name=Researcher",
    "-c",
    "user.email=researcher@example.org",
    "-c",
    "commit.gpgsign=false",
)

CONFIGURED = '[tool.conduit]\nalgorithm = "measure"\n'
PROJECT = """\
[project]
name = "measure"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["temporalio"]

"""
ACTIVITY = """\
from pydantic import BaseModel
from temporalio import activity


class Clip(BaseModel):
    samples: list[float]


class Level(BaseModel):
    peak: float


@activity.defn
def measure(clip: Clip) -> Level:
    return Level(peak=max(clip.samples))
"""
FILES = {"pyproject.toml": PROJECT + CONFIGURED, "activities.py": ACTIVITY}
"""The smallest repo that can be built: one module beside its `pyproject.toml`."""

FIVE = ACTIVITY + "".join(
    f"\n\n@activity.defn\n{kind} measure_{n}(clip: Clip) -> Level:\n    return Level(peak={n})\n"
    for n, kind in enumerate(("def", "async def", "def", "async def"))
)
LANGUAGE = """\
import py3langid
from pydantic import BaseModel
from temporalio import activity


class Text(BaseModel):
    text: str


class Language(BaseModel):
    code: str


@activity.defn
def detect(text: Text) -> Language:
    return Language(code=py3langid.classify(text.text)[0])
"""
"""An activity of a real package, `py3langid`."""


def make_repo(folder: Path, files: Mapping[str, str], *, message: str = "Research") -> str:
    """Make a repository of these files, and return its first commit's SHA."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    return commit(folder, files, message=message)


def commit(folder: Path, files: Mapping[str, str], *, message: str = "More research") -> str:
    """Write files into a repository and commit all that is there; return the commit's SHA."""
    write(folder, files)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files by their path in a folder."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def git(folder: Path, *arguments: str) -> str:
    """What git prints, without the last line's end."""
    command = ["git", "-C", str(folder), *IDENTITY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
