"""The whole route with the `process` runtime: live, switched under running workflows, rolled back, refused."""

import asyncio
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from pipeline import errors
from pipeline.deployments import Deployments
from pipeline.errors import ConduitError
from pipeline.paths import environments
from tests.integration.route.calling import Caller, serving_caller
from tests.parts.conduit import Conduit, Outcome, Repo, research_repo
from tests.parts.ports import free_port
from tests.parts.repos import ACTIVITY, FILES, PROJECT
from tests.parts.temporal import DevServer
from tests.parts.waiting import eventually, eventually_sync

NO_TESTS = "test = []\n"
DIES_LATER = ACTIVITY + "\nimport os, threading\nthreading.Timer({seconds}, os._exit, [9]).start()\n"


@pytest.fixture
def conduit(home: Path, temporal_server: DevServer) -> Iterator[Conduit]:
    conduit = Conduit(home=home, environment=temporal_server.environment)
    yield conduit
    conduit.clean_up()


@pytest.fixture
def new_repo(tmp_path: Path) -> Callable[..., Repo]:
    def new_repo(files: Mapping[str, str] = FILES, extra: str = NO_TESTS) -> Repo:
        algorithm = f"measure-{uuid.uuid4().hex[:8]}"
        return research_repo(tmp_path / algorithm, algorithm, files, extra)

    return new_repo


@dataclass(frozen=True)
class Production:
    """A machine on which an algorithm is live, for the tests that must leave it so."""

    conduit: Conduit
    repo: Repo
    build: str

    def clone(self, folder: Path) -> Repo:
        """The repo as another researcher has it."""
        shutil.copytree(self.repo.folder, folder)
        return Repo(folder=folder, algorithm=self.repo.algorithm)


@pytest.fixture(scope="module")
def production(
    home: Path, temporal_server: DevServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    (folder / "home").mkdir()
    environments(home).mkdir(exist_ok=True)
    (folder / "home" / "environments").symlink_to(environments(home))
    conduit = Conduit(home=folder / "home", environment=temporal_server.environment)
    repo = research_repo(folder / "repo", f"measure-{uuid.uuid4().hex[:8]}", FILES, NO_TESTS)
    yield Production(conduit, repo, live(conduit, repo))
    conduit.clean_up()


def deliver(conduit: Conduit, repo: Repo, *options: str) -> Outcome:
    return conduit("deliver", "--project", str(repo.folder), "--json", *options)


def live(conduit: Conduit, repo: Repo, *options: str) -> str:
    outcome = deliver(conduit, repo, *options)
    assert outcome.code == 0, outcome.err
    return str(outcome.json["build_id"])


def two_live(conduit: Conduit, repo: Repo) -> tuple[str, str]:
    """Deliver a commit, and a later one."""
    first = live(conduit, repo)
    repo.commit({"README.md": "better"})
    return first, live(conduit, repo)


def status(conduit: Conduit, repo: Repo) -> Any:
    return conduit.status(repo.algorithm)


async def answered_by(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The builds that answered a workflow's calls, in their order, by the identity of the workers."""
    builds = []
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            builds.append(event.activity_task_started_event_attributes.identity.split("/")[1].split("@")[0])
    return builds


async def test_running_workflows_follow_promotion_and_roll_back(
    conduit: Conduit, new_repo: Callable[..., Repo], temporal_client: Client
) -> None:
    repo = new_repo()
    async with serving_caller(temporal_client) as queue:
        first = await asyncio.to_thread(live, conduit, repo)
        handle = await temporal_client.start_workflow(
            Caller.run, repo.algorithm, id=f"caller-{uuid.uuid4()}", task_queue=queue
        )

        async def last_answer_is(build: str) -> bool:
            return (await answered_by(handle))[-1:] == [build]

        await eventually(lambda: last_answer_is(first))
        repo.commit({"README.md": "better"})
        second = await asyncio.to_thread(live, conduit, repo)
        assert second != first
        await eventually(lambda: last_answer_is(second))
        rolled = await asyncio.to_thread(
            conduit.good, "rollback", repo.algorithm, "--reason", "worse", "--json"
        )
        assert rolled.json["build_id"] == first
        await eventually(lambda: last_answer_is(first))
        await handle.signal(Caller.finish)
        assert await handle.result() > 0
    found = status(conduit, repo)
    assert found["current"]["build_id"] == first
    assert found["ramping"] is None
    quarantined = {build["build_id"]: build["quarantined"] for build in found["builds"]}
    assert quarantined == {first: None, second: "worse"}
    events = conduit.good("history", repo.algorithm, "--json").json
    assert [(event["action"], event["outcome"]) for event in events] == [
        ("roll back", "done"),
        ("release", "done"),
        ("release", "done"),
    ]


def test_the_same_commit_again_changes_nothing_and_says_so(production: Production) -> None:
    conduit, repo = production.conduit, production.repo
    before, workers = status(conduit, repo), conduit.runtime().workers(repo.algorithm)
    again = deliver(conduit, repo)
    assert again.json["decision"] == "unchanged"
    assert again.json["build_id"] == production.build
    assert status(conduit, repo)["current"] == before["current"]
    assert conduit.runtime().workers(repo.algorithm) == workers


def test_the_same_commit_again_starts_the_workers_that_died(production: Production) -> None:
    conduit, repo = production.conduit, production.repo
    conduit.runtime().stop(repo.algorithm, production.build)
    assert conduit.alive(repo.algorithm) == {}
    assert live(conduit, repo) == production.build
    assert conduit.alive(repo.algorithm) == {production.build: 1}


def test_a_second_algorithm_with_three_workers_does_not_disturb_the_first(
    production: Production, new_repo: Callable[..., Repo]
) -> None:
    conduit, first, second = production.conduit, production.repo, new_repo(extra=NO_TESTS + "replicas = 3\n")
    before = status(conduit, first)
    build = live(conduit, second)
    assert status(conduit, first)["current"] == before["current"]
    assert conduit.alive(first.algorithm) == {production.build: 1}
    assert conduit.alive(second.algorithm) == {build: 3}
    told = conduit.good("status", second.algorithm, "--json").json
    assert [b["workers"] for b in told["builds"]] == [3]
    conduit.runtime().stop(second.algorithm, build)


def test_a_roll_back_starts_workers_that_are_gone_and_is_refused_where_it_cannot(
    conduit: Conduit, new_repo: Callable[..., Repo]
) -> None:
    repo = new_repo()
    first, second = two_live(conduit, repo)
    conduit.runtime().stop(repo.algorithm, first)
    source = conduit.home / "builds" / repo.algorithm / first / "source"
    source.rename(source.with_name("gone"))
    refused = conduit("rollback", repo.algorithm, "--json")
    assert refused.code == errors.NoLiveWorker.exit_code, refused.err
    assert status(conduit, repo)["current"]["build_id"] == second
    source.with_name("gone").rename(source)
    assert conduit.good("rollback", repo.algorithm, "--json").json["build_id"] == first
    assert conduit.alive(repo.algorithm)[first] == 1


def configured(*lines: str) -> dict[str, str]:
    """A `pyproject.toml` of the algorithm that is live, with these lines of configuration."""
    table = ("[tool.conduit]", "algorithm = 'ALGORITHM'", *lines)
    return {"pyproject.toml": PROJECT + "\n".join(table) + "\n"}


def with_setup(body: str, *lines: str) -> dict[str, str]:
    setup = f"def load() -> None:\n    {body}\n"
    return {"model.py": setup, **configured("setup = 'model:load'", NO_TESTS, *lines)}


def named(repo: Repo, files: Mapping[str, str]) -> dict[str, str]:
    return {name: text.replace("ALGORITHM", repo.algorithm) for name, text in files.items()}


BAD_COMMITS: Mapping[str, tuple[Mapping[str, str], type[ConduitError], str]] = {
    "failing tests": (
        {**configured(), "test_it.py": "def test_it():\n    assert 'loud' == 'quiet'\n"},
        errors.TestsFailed,
        "assert 'loud' == 'quiet'",
    ),
    "a module that does not import": (
        {"activities.py": ACTIVITY + "import nowhere_to_be_found\n"},
        errors.ImportFailed,
        "nowhere_to_be_found",
    ),
    "setup that raises": (with_setup("raise OSError('no weights')"), errors.SetupFailed, "no weights"),
    "setup that hangs": (
        with_setup("import time; time.sleep(3600)", "start-timeout = '4s'"),
        errors.SetupHung,
        "model:load",
    ),
    "no activity": ({"activities.py": "x = 1\n"}, errors.NoActivity, "@activity.defn"),
    "two activities of one name": (
        {
            "activities.py": ACTIVITY
            + "@activity.defn(name='measure')\ndef other(x: int) -> int:\n    return x\n"
        },
        errors.DuplicateActivity,
        "measure",
    ),
    "an untyped activity": (
        {"activities.py": "from temporalio import activity\n@activity.defn\ndef measure(x):\n    return x\n"},
        errors.UntypedActivity,
        "measure",
    ),
    "an unknown key": (configured("replica = 2"), errors.UnknownKey, "replicas"),
    "a name that cannot be": (
        {"pyproject.toml": PROJECT + "[tool.conduit]\nalgorithm = '../x'\n"},
        errors.InvalidAlgorithmName,
        "lower-case",
    ),
    "a worker that dies at once": (with_setup("import os; os._exit(3)"), errors.WorkerDied, "died"),
}


@pytest.mark.parametrize("case", BAD_COMMITS)
def test_a_bad_commit_is_refused_and_production_untouched(
    production: Production, tmp_path: Path, case: str
) -> None:
    conduit, repo = production.conduit, production.clone(tmp_path / "repo")
    before = status(conduit, repo)
    files, kind, words = BAD_COMMITS[case]
    repo.commit(named(repo, files))
    refused = deliver(conduit, repo)
    assert (refused.code, refused.json["error"]) == (kind.exit_code, kind.__name__), refused.err
    assert words in refused.err
    assert "Completing activity as failed" not in refused.err  # nor any other line that is the SDK's
    assert refused.json["now"]
    after = status(conduit, repo)
    assert after["current"] == before["current"]
    assert after["ramping"] is None
    assert conduit.alive(repo.algorithm) == {production.build: 1}


def test_a_worker_that_dies_after_its_build_went_live_brings_the_earlier_one_back(
    production: Production, tmp_path: Path
) -> None:
    conduit, repo = production.conduit, production.clone(tmp_path / "repo")
    lasting = configured(
        "test = []", "release.steps = []", "release.watch = '1m'", "release.on-inconclusive = 'hold'"
    )
    repo.commit({"activities.py": DIES_LATER.format(seconds=8), **named(repo, lasting)})
    refused = deliver(conduit, repo)
    assert refused.code == errors.WorkerDied.exit_code, refused.err
    assert "died" in refused.err
    assert f"All calls go to build {production.build}." in refused.err
    after = status(conduit, repo)
    assert (after["current"]["build_id"], after["ramping"]) == (production.build, None)
    assert conduit.alive(repo.algorithm) == {production.build: 1}
    [bad] = [b for b in after["builds"] if b["commit"] == repo.head]
    assert bad["quarantined"]
    [event] = [
        e for e in conduit.good("history", repo.algorithm, "--json").json if e["build_id"] == bad["build_id"]
    ]
    assert (event["outcome"], "died" in event["fault"]) == ("failed", True)
    assert f"{repo.algorithm}: {production.build} is Current" in conduit.good("status").out


def test_a_dirty_tree_is_refused(production: Production, tmp_path: Path) -> None:
    conduit, repo = production.conduit, production.clone(tmp_path / "repo")
    (repo.folder / "activities.py").write_text("changed")
    refused = deliver(conduit, repo)
    assert refused.code == errors.DirtyTree.exit_code
    assert "activities.py" in refused.err
    assert deliver(conduit, repo, "--commit", "HEAD").code == 0


def test_a_commit_that_is_not_there_is_refused(production: Production) -> None:
    refused = deliver(production.conduit, production.repo, "--commit", "f" * 40)
    assert refused.code == errors.NoSuchCommit.exit_code


def test_an_unreachable_server_is_named(conduit: Conduit, new_repo: Callable[..., Repo]) -> None:
    address = f"127.0.0.1:{free_port()}"
    away = Conduit(home=conduit.home, environment={"TEMPORAL_ADDRESS": address})
    refused = deliver(away, new_repo())
    assert refused.code == errors.TemporalUnreachable.exit_code
    assert address in refused.err


def test_nothing_to_roll_back_to(conduit: Conduit, new_repo: Callable[..., Repo]) -> None:
    repo = new_repo()
    build = live(conduit, repo)
    assert conduit("rollback", repo.algorithm).code == errors.NothingToRollBackTo.exit_code
    assert conduit("rollback", "nobody-knows-it").code == errors.UnknownAlgorithm.exit_code
    assert conduit("rollback", repo.algorithm, "--to", "zzz").code == errors.UnknownBuild.exit_code
    assert status(conduit, repo)["current"]["build_id"] == build


def test_an_older_commit_does_not_override_a_newer_one(
    conduit: Conduit, new_repo: Callable[..., Repo]
) -> None:
    repo = new_repo()
    live(conduit, repo)
    repo.commit({"README.md": "newer"})
    newer = live(conduit, repo)
    assert deliver(conduit, repo, "--commit", "HEAD~1").code == errors.OlderCommit.exit_code
    assert status(conduit, repo)["current"]["build_id"] == newer


def test_a_quarantined_build_needs_force_and_a_reason(
    conduit: Conduit, new_repo: Callable[..., Repo]
) -> None:
    repo = new_repo()
    live(conduit, repo)
    repo.commit({"README.md": "worse"})
    bad = live(conduit, repo)
    conduit.good("rollback", repo.algorithm, "--reason", "worse")
    assert deliver(conduit, repo).code == errors.Quarantined.exit_code
    assert deliver(conduit, repo, "--force").code == 2
    assert live(conduit, repo, "--force", "--reason", "it was the microphone") == bad
    assert quarantined(conduit, repo) == {}


def quarantined(conduit: Conduit, repo: Repo) -> dict[str, str]:
    builds = status(conduit, repo)["builds"]
    return {build["build_id"]: build["quarantined"] for build in builds if build["quarantined"]}


def test_a_roll_back_that_is_taken_back_lifts_the_quarantine(
    conduit: Conduit, new_repo: Callable[..., Repo]
) -> None:
    repo = new_repo()
    first, second = two_live(conduit, repo)
    conduit.good("rollback", repo.algorithm, "--reason", "wrong")
    assert quarantined(conduit, repo) == {second: "wrong"}
    conduit.good("rollback", repo.algorithm, "--to", second, "--reason", "it was the microphone")
    assert quarantined(conduit, repo) == {first: "it was the microphone"}
    repo.commit({"README.md": "better still"})
    live(conduit, repo)
    assert conduit.good("rollback", repo.algorithm, "--json").json["build_id"] == second


SLOW_SETUP = """\
import pathlib, time

def load() -> None:
    while not pathlib.Path('{gate}').exists():
        time.sleep(0.05)
"""


def held(repo: Repo, gate: Path) -> str:
    """Commit a setup hook that ends once the file `gate` is there: a release that stays where it is."""
    return repo.commit({**named(repo, with_setup("")), "model.py": SLOW_SETUP.format(gate=gate)})


def test_two_deliveries_at_once_do_not_interfere(
    conduit: Conduit, new_repo: Callable[..., Repo], tmp_path: Path
) -> None:
    repo = new_repo()
    held(repo, tmp_path / "gate")
    first = conduit.start("deliver", "--project", str(repo.folder), "--json")
    eventually_sync(lambda: bool(conduit.alive(repo.algorithm)), within=60)
    second = deliver(conduit, repo)
    assert second.code == errors.ReleaseInFlight.exit_code, second.err
    (tmp_path / "gate").touch()
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert status(conduit, repo)["current"]["build_id"] in out


def test_a_newer_commit_takes_the_place_of_an_older_release(
    conduit: Conduit, new_repo: Callable[..., Repo], tmp_path: Path
) -> None:
    repo = new_repo()
    held(repo, tmp_path / "never")
    older = conduit.start("deliver", "--project", str(repo.folder))
    eventually_sync(lambda: bool(conduit.alive(repo.algorithm)), within=60)
    held(repo, tmp_path)  # is there
    newer = live(conduit, repo)
    older.communicate(timeout=60)
    assert older.returncode == errors.Superseded.exit_code
    assert status(conduit, repo)["current"]["build_id"] == newer
    assert conduit.alive(repo.algorithm) == {newer: 1}


def test_a_killed_delivery_is_put_right_by_the_next_one(
    conduit: Conduit, new_repo: Callable[..., Repo], tmp_path: Path
) -> None:
    repo = new_repo()
    held(repo, tmp_path / "gate")
    killed = conduit.start("deliver", "--project", str(repo.folder))
    eventually_sync(lambda: bool(conduit.alive(repo.algorithm)), within=60)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    (tmp_path / "gate").touch()

    def taken_over() -> bool:
        outcome = deliver(conduit, repo)  # until the killed one's last heartbeat is old, it counts as alive
        assert outcome.code in (0, errors.ReleaseInFlight.exit_code), outcome.err
        return outcome.code == 0

    eventually_sync(taken_over, within=90)
    build = status(conduit, repo)["current"]["build_id"]
    assert conduit.alive(repo.algorithm) == {build: 1}


async def test_ctrl_c_leaves_nothing_behind(
    conduit: Conduit, new_repo: Callable[..., Repo], temporal_client: Client, tmp_path: Path
) -> None:
    repo = new_repo()
    held(repo, tmp_path / "never")
    process = await asyncio.to_thread(conduit.start, "deliver", "--project", str(repo.folder))

    async def is_at_work() -> bool:
        return bool(conduit.alive(repo.algorithm))

    await eventually(is_at_work, within=60)
    process.send_signal(signal.SIGINT)
    await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 130
    assert conduit.alive(repo.algorithm) == {}
    assert (await Deployments(temporal_client).describe(repo.algorithm)) is None
