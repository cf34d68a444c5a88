"""The research repo of a placeholder: one module, what it answers, and a `pyproject.toml`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pipeline import git
from pipeline.placeholders.answers import Plan
from pipeline.placeholders.program import FILE

PROGRAM = Path(__file__).with_name("program.py")
MODULE = "placeholder_activities"
# Of no meaning, and always the same: the same contract and answers are then the same commit and build.
TIME = datetime(2000, 1, 1, tzinfo=UTC)

PYPROJECT = """\
[project]
name = "placeholder"
version = "0"
requires-python = ">=3.11"
dependencies = ["jsonschema-rs>=0.60"]

[tool.conduit]
algorithm = "{algorithm}"
activities = ["{module}"]
runtime = "{runtime}"
placeholder = true
test = []
grace = "1s"

[tool.conduit.release]
steps = []
watch = "0s"
"""


def files(algorithm: str, runtime: str, plan: Plan) -> Mapping[str, str]:
    """The repo's files by name. Pure; both names are checked by the configuration's own model when it is read."""
    return {
        "pyproject.toml": PYPROJECT.format(algorithm=algorithm, runtime=runtime, module=MODULE),
        f"{MODULE}.py": PROGRAM.read_text(encoding="utf-8"),
        FILE: plan.stands.model_dump_json(indent=1),
    }


def write(folder: Path, files: Mapping[str, str], *, author: str, subject: str, origin: str) -> None:
    """Write the repo and its one commit."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    git.make(folder, author=author, time=TIME, subject=subject, origin=origin)
