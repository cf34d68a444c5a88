"""A release whose command is killed, or whose server restarts, ends well when the command is run again."""

import asyncio
import signal
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from pipeline import errors
from tests.integration.rollout.conftest import GOOD, SETTINGS, Stage, activity
from tests.parts.conduit import Conduit, Outcome, research_repo
from tests.parts.load import Called, Calling, running_load
from tests.parts.repos import CONFIGURED, PROJECT
from tests.parts.temporal import DevServer, temporal_binary
from tests.parts.waiting import eventually

SHORT = """\
release.steps = [{ ramp = 50, for = "1s" }]
release.watch = "1s"
"""
WATCHED_ALONE = """\
release.steps = []
release.watch = "8s"
"""
STEPS = [("tidy", "start", "register", "gate"), ("ramp 50 %", "judge 50 %"), ("promote", "watch", "retire")]
"""At each of which the command is killed in turn, before it is run to its end."""
BAD = activity("raise RuntimeError('no weights')")
BAD_STEPS = {
    "in its ramp": (("judge 50 %", "undo", "stop"), SHORT),
    "in its watch": (("watch", "undo", "quarantine"), WATCHED_ALONE),
}


def commit(stage: Stage, release: str, files: Mapping[str, str] = GOOD) -> None:
    table = CONFIGURED.replace('"measure"', f'"{stage.algorithm}"')
    kept = "\n".join(line for line in SETTINGS.splitlines() if line.split(" ")[0] not in release)
    pyproject = {"pyproject.toml": f"{PROJECT}{table}{kept}\n{release}"}
    stage.repo.commit({**files, **pyproject, "README.md": uuid.uuid4().hex})


def until_step(process: subprocess.Popen[str], step: str) -> None:
    """Wait until a command tells that it begins a step."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.strip() == f"… {step}":
            return
    raise AssertionError(f"{step} did not come: {''.join(seen)}")


def killed_at(process: subprocess.Popen[str], step: str) -> None:
    """Kill the command, and the Rollout's worker in it, as soon as it tells of a step."""
    until_step(process, step)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@dataclass(frozen=True)
class Ended:
    """What a command that was killed and run again left behind, and what callers had of it."""

    outcome: Outcome
    called: Sequence[Called]
    told: Any
    alive: Mapping[str, int]


async def killed_and_run_again(stage: Stage, steps: Sequence[str]) -> Ended:
    arguments = ("deliver", "--project", str(stage.repo.folder))
    client = await stage.client()
    async with running_load(client, Calling(algorithm=stage.algorithm, pause=0.1), 6) as load:
        await eventually(load.answers, within=60)
        for step in steps:
            await asyncio.to_thread(killed_at, stage.conduit.start(*arguments), step)
        outcome = await asyncio.to_thread(stage.conduit, *arguments, "--json")
        called = await load.finish()
    assert stage.conduit.alive(stage.algorithm) == processes(stage)
    return Ended(outcome, called, stage.conduit.status(stage.algorithm), processes(stage))


def processes(stage: Stage) -> dict[str, int]:
    """The algorithm's worker processes by build, by the system's word: the runtime's records are not asked."""
    builds = stage.conduit.home / "builds" / stage.algorithm
    words = [process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"])]
    settings = [Path(word).resolve() for line in words if "pipeline.worker" in line for word in line[-1:]]
    return Counter(file.parent.name for file in settings if file.is_relative_to(builds))


@pytest.mark.parametrize("steps", STEPS, ids=" ".join)
async def test_a_killed_release_is_begun_anew_by_the_same_command(stage: Stage, steps: Sequence[str]) -> None:
    before = (await stage.seen(await stage.client())).current
    commit(stage, SHORT)
    ended = await killed_and_run_again(stage, steps)
    assert ended.outcome.code == 0, ended.outcome.err
    build_id = ended.outcome.json["build_id"]
    told = ended.told
    assert (told["current"]["build_id"], told["ramping"], told["release"]) == (build_id, None, None)
    assert all(one.right and not one.wrong for one in ended.called)
    assert ended.alive[build_id] == ended.alive[before or ""] == 1


@pytest.mark.parametrize("case", BAD_STEPS)
async def test_a_bad_build_whose_release_is_killed_is_stopped_by_the_same_command(
    stage: Stage, case: str
) -> None:
    steps, release = BAD_STEPS[case]
    before = (await stage.seen(await stage.client())).current
    commit(stage, release, BAD)
    ended = await killed_and_run_again(stage, steps)
    # Where it was killed after its quarantine, that is what the last run meets.
    assert ended.outcome.code in (errors.BuildTurnedBad.exit_code, errors.Quarantined.exit_code)
    told = ended.told
    assert (told["current"]["build_id"], told["ramping"], told["release"]) == (before, None, None)
    assert all(one.right and not one.wrong for one in ended.called)
    [bad] = [one for one in told["builds"] if one["commit"] == stage.repo.head]
    assert "calls failed" in bad["quarantined"]
    assert ended.alive[before or ""] == 1
    assert bad["build_id"] not in ended.alive


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[DevServer]:
    binary = temporal_binary()
    if binary is None:
        pytest.skip("no `temporal` binary")
    with DevServer(binary, tmp_path) as server:
        yield server


UNHURRIED = """\
test = []
grace = "1s"
gates.replay.calls = 0
release.steps = [{ ramp = 50, for = "8s" }]
release.inconclusive-limit = "1s"
release.watch = "10s"
"""
AWAY: dict[str, Callable[[DevServer], None]] = {
    "stands still": lambda server: server.stand_still(8.0),
    "is killed and started again": lambda server: server.restart(kill=True),
}


@pytest.mark.parametrize("step", ["judge 50 %", "watch"])
@pytest.mark.parametrize("how", AWAY)
async def test_a_server_that_is_away_for_a_while_makes_no_good_build_a_bad_one(
    release_home: Path, own_server: DevServer, tmp_path: Path, how: str, step: str
) -> None:
    conduit = Conduit(home=release_home, environment=own_server.environment)
    repo = research_repo(tmp_path / "repo", f"away-{uuid.uuid4().hex[:8]}", extra=UNHURRIED)
    repo.commit(activity("time.sleep(0.3)"))
    arguments = ("deliver", "--project", str(repo.folder))
    try:
        await asyncio.to_thread(conduit.good, *arguments)
        client = await Client.connect(own_server.address, data_converter=pydantic_data_converter)
        async with running_load(client, Calling(algorithm=repo.algorithm, pause=0.1), 12) as load:
            await eventually(load.answers, within=60)
            repo.commit({"README.md": "better"})
            process = conduit.start(*arguments)
            await asyncio.to_thread(until_step, process, step)
            await asyncio.to_thread(AWAY[how], own_server)
            out, err = await asyncio.to_thread(process.communicate, timeout=200)
            called = await load.finish()
        told = await asyncio.to_thread(conduit.status, repo.algorithm)
    finally:
        conduit.clean_up()
    assert process.returncode == 0, out + err
    assert (told["ramping"], told["current"]["commit"]) == (None, repo.head)
    assert all(one.right and not one.wrong for one in called)
