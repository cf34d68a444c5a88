"""`conduit doctor` on a machine that is well, and with each thing wrong in turn."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline import errors
from pipeline.errors import ConduitError
from tests.parts.conduit import Conduit, Outcome, Repo, research_repo
from tests.parts.ports import free_port
from tests.parts.temporal import DevServer
from tests.parts.waiting import eventually_sync

NOWHERE = "http://127.0.0.1:{}/simple"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return research_repo(tmp_path_factory.mktemp("doctor") / "repo", "doctor-s-own", extra="test = []\n")


@pytest.fixture
def conduit(home: Path, temporal_server: DevServer) -> Iterator[Conduit]:
    conduit = Conduit(home=home, environment=temporal_server.environment)
    yield conduit
    conduit.clean_up()


def ask(conduit: Conduit, repo: Repo, *options: str) -> Outcome:
    return conduit("doctor", "--project", str(repo.folder), *options)


def faults(outcome: Outcome) -> dict[str, Any]:
    return {found["name"]: found["fault"] for found in outcome.json["findings"] if found["fault"]}


def with_(conduit: Conduit, **variables: str) -> Conduit:
    """The same machine with other variables."""
    return Conduit(home=conduit.home, environment={**conduit.environment, **variables})


def test_a_machine_that_is_well(conduit: Conduit, repo: Repo, temporal_server: DevServer) -> None:
    told = ask(conduit, repo)
    assert (told.code, told.out) == (0, "All 7 checks are well.\n")
    for name in ("home", "repo", "packages", "temporal", "versions", "heartbeats", "algorithm"):
        assert f"✓ {name}" in told.err
    assert f"{temporal_server.address}, namespace default, server 1." in told.err
    assert "no build of doctor-s-own is Current yet" in told.err
    assert "temporalio==" in told.err


@pytest.mark.parametrize(
    ("variables", "check", "error"),
    [
        ({"TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}, "temporal", errors.TemporalUnreachable),
        ({"TEMPORAL_NAMESPACE": "nobody-s"}, "versions", errors.TemporalRefused),
        ({"UV_DEFAULT_INDEX": NOWHERE.format(free_port())}, "packages", errors.EnvironmentFailed),
    ],
)
def test_what_does_not_answer_is_named_with_its_exit_code(
    conduit: Conduit, repo: Repo, variables: dict[str, str], check: str, error: type[ConduitError]
) -> None:
    told = ask(with_(conduit, **variables, UV_NO_CACHE="1"), repo, "--json")
    found = faults(told)
    assert next(iter(found)) == check
    assert found[check]["error"] == error.__name__
    assert found[check]["why"]
    assert found[check]["now"]
    assert told.code == found[check]["exit_code"] == error.exit_code
    assert told.err == ""


def test_all_faults_are_told_at_once(conduit: Conduit, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "no-repo").mkdir()
    sick = Conduit(
        home=tmp_path / "file" / "home",
        environment={"TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"},
    )
    told = sick("doctor", "--project", str(tmp_path / "no-repo"))
    assert told.code == errors.DestinationNotWritable.exit_code
    for name in ("home", "repo", "temporal"):
        assert f"✗ {name}" in told.err
        assert f"\n{name}: " in f"\n{told.out}"
    assert told.out.count("now:   ") == 3
    assert told.out.endswith("3 of 4 checks found something.\n")


def test_calls_that_nobody_answers_are_a_fault(conduit: Conduit, repo: Repo) -> None:
    build = conduit.good("deliver", "--project", str(repo.folder), "--json").json["build_id"]
    assert f"{build} is Current, workers: 1" in ask(conduit, repo).err
    for worker in conduit.runtime().workers(repo.algorithm):
        psutil.Process(int(worker.handle.removeprefix("pid "))).kill()

    def is_told() -> Any:
        return faults(ask(conduit, repo, "--json"))

    found = eventually_sync(is_told)
    assert found["algorithm"]["error"] == "NoLiveWorker"
    assert build in found["algorithm"]["what"]
