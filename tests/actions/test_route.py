"""A push goes live in a workflow that is running, and the button takes it back: the real files, all parts real.

The second push is a stranger's: its message, its author, its tags and its test-suite are after what the jobs have.
"""

import json
from asyncio import to_thread
from pathlib import Path

import pytest
from temporalio.client import WorkflowHandle

from tests.actions import attack
from tests.actions.listening import Listener, hears
from tests.actions.research import ALGORITHM, code
from tests.parts.act import TOOLKIT, Actions, Run
from tests.parts.github_api import Door
from tests.parts.repos import git

ROUTE = ["verify", "build", "newest", "release"]
TOKEN = "token-of-the-job"


@pytest.mark.timeout(600)
async def test_push_live_push_live_roll_back(
    actions: Actions, listening: WorkflowHandle[Listener, None], described: Door, tmp_path: Path
) -> None:
    actions.commit(code(1.0), "The first")
    first = await to_thread(actions.push)
    assert (first.code, first.jobs) == (0, ROUTE), first.log
    await hears(listening, 1.0)

    trap, loot = tmp_path / "trap", tmp_path / "loot"
    for tag in attack.tags(trap):
        git(actions.clone, "push", "--quiet", str(actions.remote), f"HEAD:refs/tags/{tag}")
    hostile = {**code(2.0), "test_activities.py": attack.suite(trap, loot)}
    actions.commit(hostile, attack.message(trap), author=attack.text(trap))
    github = {"GITHUB_API_URL": described.url}
    second = await to_thread(actions.push, secrets={"GITHUB_TOKEN": TOKEN}, environment=github)
    assert (second.code, second.jobs) == (0, ROUTE), second.log
    await hears(listening, 2.0)
    builds = [run.outputs("release")["build-id"] for run in (first, second)]
    it_is_told(second, builds)
    its_pages_are_shown(described, builds[1])
    its_signature_was_asked_for(actions, second)
    nothing_was_taken(actions, second, loot)
    assert not trap.exists()

    back = await to_thread(actions.roll_back, attack.text(trap), build_id=builds[0])
    assert (back.code, back.jobs) == (0, ["rollback"]), back.log
    await hears(listening, 1.0)
    assert (back.outputs("rollback")["build-id"], back.outputs("rollback")["decision"]) == (
        builds[0],
        "rolled-back",
    )
    assert f"Build {builds[1]} of {ALGORITHM} was rolled back" in back.summary("rollback")
    assert not trap.exists()


def it_is_told(run: Run, builds: list[str]) -> None:
    """The summary says what is live, how long each step took, and how to undo it."""
    summary = run.summary("release")
    assert f"Build {builds[1]} of {ALGORITHM} is live" in summary
    assert builds[0] in summary
    assert f"conduit rollback {ALGORITHM}" in summary
    assert "conduit-rollback.yml" in summary
    assert "promote" in summary
    assert run.outputs("release")["decision"] == "promoted"


def its_pages_are_shown(github: Door, build_id: str) -> None:
    """A deployment that followed the release, and a check of the commit; GitHub's description allows each call."""
    states = [
        call.body["state"]
        for call in github.calls
        if call.method == "POST" and call.path.endswith("/statuses")
    ]
    assert states == ["in_progress", "success"]
    assert "POST /repos/{owner}/{repo}/check-runs" in github.made
    made = [
        call.body for call in github.calls if call.method == "POST" and call.path.endswith("/deployments")
    ]
    assert all(body["payload"]["build_id"] == build_id for body in made)


def its_signature_was_asked_for(actions: Actions, run: Run) -> None:
    """Whether this very workflow built the image of this very commit, before anything was released."""
    asked = Path(actions.environment["PATH"].partition(":")[0], "gh-asked").read_text().splitlines()[-1]
    commit = git(actions.clone, "rev-parse", "HEAD")
    assert asked == (
        f"attestation verify oci://{run.outputs('build')['image']} --repo={actions.repository}"
        f" --signer-workflow={TOOLKIT}/.github/workflows/conduit.yml --source-digest={commit}"
    )


def nothing_was_taken(actions: Actions, run: Run, loot: Path) -> None:
    """The repo's tests found no secret, and no later job or step of ours took anything from them."""
    found = json.loads((loot / "variables.json").read_text())
    own = {*actions.secrets.values(), TOKEN} - {"default"}
    assert {name for name, value in found.items() if any(secret in value for secret in own)} == set()
    assert not {name for name in found if name.startswith("TEMPORAL_")}
    assert run.outputs("build")["artifact-id"] != "4711"
    for job in ("build", "release"):
        given = [(command["command"], command.get("arg", "")) for command in run.commands(job)]
        assert {name for name, _ in given} == {"add-path"}  # the toolkit's own
        assert not [path for _, path in given if str(loot) in path]
