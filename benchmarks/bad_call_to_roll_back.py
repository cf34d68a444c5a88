"""From the first call that fails on a bad build until the routing is back, with the default settings of a release.

Forty workflows make twenty calls a second in all. A build that fails every call is delivered; the ramp gives it
a tenth of the workflows. The target is at most 10 seconds. From the repository's root:

    python -m benchmarks.bad_call_to_roll_back [--rounds 3]
"""

import argparse
import asyncio
import re
import subprocess
import time
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.parts import ALGORITHM, CONDUIT, PROJECT, Calls, Stage, running_callers, spread, stage
from pipeline.deployments import Deployments
from tests.parts.repos import commit

WORKFLOWS = 40
PAUSE = 1.9
"""Seconds between two calls of a workflow, each of which takes a tenth."""
FIRST_FAILURE = "first-failure"
FAILING = """
import pathlib
import time

_echo = echo


@activity.defn(name="echo")
async def echo_that_fails(question: Question) -> Answer:
    first = pathlib.Path({first!r})
    if not first.exists():
        first.write_text(str(time.time()))
    raise RuntimeError("revision {revision}")
"""


def break_it(on: Stage, number: int) -> Path:
    """Commit a build that fails every call; return the file in which its first call is told."""
    first = on.folder / f"{FIRST_FAILURE}-{number}"
    good = (on.repo / "activities.py").read_text().partition("\nimport pathlib\n")[0]
    bad = good.replace("@activity.defn\n", "") + FAILING.format(first=str(first), revision=number)
    commit(on.repo, {"activities.py": bad})
    return first


async def measure(on: Stage, rounds: int) -> list[float]:
    """Deliver bad builds; return for each how long its first failing call was before the routing was back."""
    table = re.sub(r"\n\[tool\.conduit\.release\].*", "", PROJECT, flags=re.DOTALL)
    # The gates would find it before any call: what is measured here is what comes after them.
    commit(on.repo, {"pyproject.toml": table + "\n[tool.conduit.gates]\nreplay.calls = 0\n"})
    await asyncio.to_thread(on.deliver)
    client = await Client.connect(on.server.address, data_converter=pydantic_data_converter)
    took = []
    async with running_callers(on, WORKFLOWS, Calls(hold=0.1, pause=PAUSE)):
        await asyncio.sleep(5)  # Current is to have figures
        for number in range(rounds):
            first = break_it(on, number)
            back = asyncio.create_task(_routing_is_back(client))
            await asyncio.to_thread(_deliver_bad, on)
            took.append(await back - float(first.read_text()))
            print(f"routing back {took[-1]:.2f} s after the first failing call", flush=True)
    return took


def _deliver_bad(on: Stage) -> None:
    arguments = [*CONDUIT, "deliver", "--project", str(on.repo), "--skip-tests"]
    done = subprocess.run(arguments, env=on.environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        raise RuntimeError(f"the bad build was promoted:\n{done.stderr}")
    print(done.stderr[-600:])


async def _routing_is_back(client: Client) -> float:
    """When the ramp was gone again."""
    deployments, was_ramping = Deployments(client), False
    while True:
        seen = await deployments.describe(ALGORITHM)
        ramping = seen is not None and seen.ramping is not None
        if was_ramping and not ramping:
            return time.time()
        was_ramping = was_ramping or ramping
        await asyncio.sleep(0.2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with stage() as on:
        print(spread(asyncio.run(measure(on, arguments.rounds))), "(target: 10 s)")


if __name__ == "__main__":
    main()
