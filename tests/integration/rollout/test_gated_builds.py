"""Builds that a gate stops: none gets a production call, and production's routing stays as it is."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from temporalio.client import Client

from pipeline import errors
from pipeline.errors import ConduitError
from pipeline.models import Build
from pipeline.rollout.messages import APPROVAL_ENTRY, Approved
from tests.integration.rollout.conftest import Stage
from tests.parts.load import Called, Calling, running_load
from tests.parts.waiting import eventually

SETTINGS = """\
test = []
grace = "1s"
gates.replay.calls = 20
gates.replay.max-differences = 0
release.steps = []
release.watch = "0s"
"""
MODULE = """\
import os
from enum import StrEnum

from pydantic import BaseModel, field_validator
from temporalio import activity


class Clip(BaseModel):
    samples: list[float]


class Level(BaseModel):
    peak: float


class Place(BaseModel):
    room: str
    floor: int


class Unit(StrEnum):
    DB = "db"
    LU = "lu"


class Loudness(StrEnum):
    QUIET = "quiet"
    LOUD = "loud"


class Recording(BaseModel):
    samples: list[float]
    unit: Unit = Unit.DB
    place: Place | None = None


class Kind(BaseModel):
    loudness: Loudness
    score: int
    place: Place


@activity.defn
def measure(clip: Clip) -> Level:
    return Level(peak=max(clip.samples))


@activity.defn
def classify(recording: Recording) -> Kind:
    return Kind(loudness=Loudness.LOUD, score=1, place=Place(room="hall", floor=1))
"""
RESEARCH = {"activities.py": MODULE}
EXAMPLE = '{"activity": "measure", "input": {"samples": [2.0]}, "output": {"peak": 2.0}}'
"""Most bad builds answer it rightly: it is not what finds them."""
VALIDATED = """\
    samples: list[float]

    @field_validator("samples")
    @classmethod
    def _are_few(cls, samples: list[float]) -> list[float]:
        if len(samples) > 1:
            raise ValueError("one sample is enough")
        return samples


class Level"""


@dataclass(frozen=True)
class Stopped:
    """A change of the good build, what stops it, and in which words."""

    old: str
    new: str
    words: str
    error: type[ConduitError] = errors.ContractBroken
    example: str = ""
    hook: str = ""
    is_registered: bool = True

    def files(self, stage: Stage) -> Mapping[str, str]:
        """The repo's files with the change."""
        assert self.old in MODULE
        return files(stage, MODULE.replace(self.old, self.new, 1), self.example or EXAMPLE, self.hook)


def files(stage: Stage, module: str, example: str = EXAMPLE, hook: str = "") -> Mapping[str, str]:
    """The repo with this module; tests follow each other in one repo, and nothing is left of the one before."""
    project = (stage.repo.folder / "pyproject.toml").read_text()
    kept = [line for line in project.splitlines() if not line.startswith("setup")]
    configured = "\n".join([*kept, hook, ""])
    return {"activities.py": module, "pyproject.toml": configured, "examples/one.json": example}


PEAK = "Level(peak=max(clip.samples))"
BROKEN = {
    "an input field is newly required": Stopped(
        "unit: Unit = Unit.DB", "unit: Unit", "input $.unit: is required now"
    ),
    "an input field is renamed": Stopped(
        "samples: list[float]\n    unit", "wave: list[float]\n    unit", "probably renamed"
    ),
    "an enum of the input is narrowed": Stopped('    LU = "lu"\n', "", "input $.unit"),
    "the output may be null": Stopped("score: int", "score: int | None", "output $.score"),
    "the output's type is widened": Stopped("score: int", "score: int | str", "output $.score"),
    "an enum of the output is widened": Stopped(
        '    LOUD = "loud"', '    LOUD = "loud"\n    DEAFENING = "deafening"', "output $.loudness"
    ),
    "an output field is renamed": Stopped("    score: int", "    points: int = 0", "output $.score"),
    "a nested model wants more": Stopped("    floor: int", "    floor: int\n    house: str", "input $.place"),
    "a nested model gives less": Stopped("    floor: int\n", "", "output $.place.floor"),
    "an activity is gone": Stopped("@activity.defn\ndef classify", "def classify", "classify"),
}
OTHERS = {
    "refuses what callers really sent": Stopped(
        "    samples: list[float]\n\n\nclass Level",
        VALIDATED,
        "inputs that callers really sent are not accepted",
    ),
    "answers wrongly what callers sent": Stopped(
        PEAK, "Level(peak=min(clip.samples))", "outputs differ from the recorded ones", errors.GateFailed
    ),
    "answers an example wrongly": Stopped(
        PEAK,
        "Level(peak=min(clip.samples))",
        "examples were not answered as they should",
        errors.GateFailed,
        EXAMPLE.replace("[2.0]", "[1.0, 2.0]"),
    ),
    "fails": Stopped(PEAK, "Level(peak=1 / 0)", "ZeroDivisionError", errors.GateFailed),
    "crashes when its worker imports it": Stopped(
        "class Clip(",
        "if 'TEMPORAL_WORKER_BUILD_ID' in os.environ:\n    raise OSError('no weights')\n\n\nclass Clip(",
        "no weights",
        errors.ImportFailed,
        is_registered=False,
    ),
    "crashes in its setup": Stopped(
        "@activity.defn\ndef classify",
        "def load() -> None:\n    raise OSError('no weights')\n\n\n@activity.defn\ndef classify",
        "no weights",
        errors.SetupFailed,
        hook='setup = "activities:load"',
        is_registered=False,
    ),
}
LOUDER = "def louder(clip: Clip) -> Level:\n    return Level(peak=0)\n\n\n@activity.defn\ndef classify"
COMPATIBLE = {
    "unit: Unit = Unit.DB": "unit: Unit = Unit.DB\n    gain: float = 1.0",
    "    score: int": "    score: int\n    certainty: float = 1.0",
    "def classify": LOUDER,
}
"""An optional input, a new field of the output, a new activity."""
CASES = {**BROKEN, **OTHERS}


@pytest.mark.parametrize("case", CASES)
async def test_what_a_gate_stops_gets_no_production_call(stage: Stage, case: str) -> None:
    bad = CASES[case]
    client = await stage.client()
    good = (await stage.seen(client)).current
    build = await stage.build(bad.files(stage))
    error, called = await attempt(stage, client, build)
    assert isinstance(error, bad.error), (error.what, error.why, error.log)
    assert bad.words in f"{error.why}\n{error.log}"
    assert all(one.right and not one.wrong for one in called)
    seen = await stage.seen(client)
    assert (seen.current, seen.ramping) == (good, None)
    assert stage.conduit.alive(stage.algorithm) == {good: 1}
    version = seen.version(build.build_id)
    assert (version is not None) is bad.is_registered
    if bad.is_registered:
        quarantine = (await stage.about(client, build.build_id)).quarantine
        assert quarantine is not None
        assert error.what in quarantine.reason


async def attempt(stage: Stage, client: Client, build: Build) -> tuple[ConduitError, list[Called]]:
    """Release a bad build while workflows call the algorithm; none of the calls may be with it."""
    async with running_load(client, Calling(algorithm=stage.algorithm, pause=0.1), 3) as load:
        await eventually(load.answers)
        with pytest.raises(ConduitError) as stopped:
            await stage.release(client, build)
        called = await load.finish()
        builds = await load.builds()
    assert builds
    assert build.build_id not in builds
    return stopped.value, called


async def test_compatible_changes_go_live(stage: Stage) -> None:
    client, module = await stage.client(), MODULE
    for old, new in COMPATIBLE.items():
        module = module.replace(old, new, 1)
        build = await stage.build(files(stage, module))
        assert (await stage.release(client, build)).build_id == build.build_id


async def test_a_named_approval_lets_one_breaking_change_pass(stage: Stage) -> None:
    stage.repo.commit(files(stage, MODULE.replace("unit: Unit = Unit.DB", "unit: Unit")))
    deliver = ("deliver", "--project", str(stage.repo.folder), "--json")
    refused = await asyncio.to_thread(stage.conduit, *deliver)
    assert refused.code == errors.ContractBroken.exit_code, refused.err
    again = await asyncio.to_thread(stage.conduit, *deliver)
    assert again.code == errors.Quarantined.exit_code
    digest = re.search("--approve ([0-9a-f]{12})", refused.json["now"])
    assert digest is not None
    assert digest[0] in again.json["now"]
    approval = (digest[1], "--reason", "its last caller has moved")
    done = await asyncio.to_thread(stage.conduit.good, *deliver, "--approve", *approval)
    [build] = [b for b in stage.conduit.status(stage.algorithm)["builds"] if b["commit"] == stage.repo.head]
    assert (done.json["decision"], build["quarantined"]) == ("promoted", None)
    approved = Approved.model_validate_json(
        (await stage.about(await stage.client(), build["build_id"]))[APPROVAL_ENTRY]
    )
    assert (approved.digest, approved.reason) == (digest[1], approval[2])
    history = await asyncio.to_thread(stage.conduit.good, "history", stage.algorithm)
    assert f"approved {digest[1]}; its last caller has moved" in " ".join(history.out.split())
