"""The research repo whose pushes are run: one activity, and a test that can fail."""

ALGORITHM = "act-measure"

PYPROJECT = f"""\
[project]
name = "measure"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["temporalio"]

[tool.conduit]
algorithm = "{ALGORITHM}"
runtime = "docker"
grace = "1s"
release.steps = []
release.watch = "0s"
"""

ACTIVITIES = """\
from pydantic import BaseModel
from temporalio import activity

FACTOR = {factor}


class Clip(BaseModel):
    samples: list[float]


class Level(BaseModel):
    peak: float


@activity.defn
def measure(clip: Clip) -> Level:
    return Level(peak=FACTOR * max(clip.samples))
"""

TESTS = """\
from activities import Clip, measure


def test_it_hears_the_loudest() -> None:
    assert measure(Clip(samples=[0.0, 1.0])).peak > 0
"""


def code(factor: float) -> dict[str, str]:
    """The code of a build that answers with `factor`."""
    return {"activities.py": ACTIVITIES.format(factor=factor)}


FILES = {"pyproject.toml": PYPROJECT, "test_activities.py": TESTS, **code(1.0)}
