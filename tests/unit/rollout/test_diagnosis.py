"""From what is known of a worker to the error that explains it."""

from datetime import UTC, datetime

import pytest

from pipeline import errors
from pipeline.deployments import Deployment
from pipeline.models import Build, Commit, Image, build_id
from pipeline.rollout import diagnosis
from pipeline.rollout.messages import Route
from pipeline.runtimes import LocalWorker
from pipeline.worker.contract import Contract
from pipeline.worker.phases import Phase, PhaseName
from pipeline.worker.settings import HostSettings
from tests.unit.rollout.test_policy import deployment, version

SHA, DIGEST = "a" * 40, "sha256:" + "b" * 64
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUILD = Build(
    algorithm="measure",
    build_id=build_id(SHA, DIGEST),
    commit=Commit(sha=SHA, time=NOW, author="R", subject="s", repo="r"),
    artifact=Image(digest=DIGEST, repository="registry.example/measure"),
    contract=Contract(activities=()),
    host=HostSettings(task_queue="measure", activities=("a",), setup="model:load"),
)
WORKER = LocalWorker(
    build_id=BUILD.build_id, replica=1, handle="pid 1", alive=False, ended_because="exit code 1"
)


def log(phase: PhaseName, *, error: str = "", why: str = "") -> str:
    return "noise\n" + Phase(phase=phase, at=NOW, error=error, why=why).model_dump_json() + "\nTraceback …"


def test_a_worker_that_told_why_is_believed() -> None:
    error = diagnosis.death(WORKER, log("failed", error="SetupFailed", why="OSError: no weights"))
    assert isinstance(error, errors.SetupFailed)
    assert "no weights" in error.why
    assert "exit code 1" in error.what


@pytest.mark.parametrize("text", ["", "noise", log("polling"), log("failed", error="NoSuchErrorOfOurs")])
def test_a_worker_that_told_nothing_useful_died(text: str) -> None:
    assert isinstance(diagnosis.death(WORKER, text), errors.WorkerDied)


def test_the_log_is_shown_without_what_the_host_wrote_for_us() -> None:
    error = diagnosis.death(WORKER, log("setup"))
    assert error.log == "noise\nTraceback …"
    assert "died while it was in its `setup` hook (exit code 1)" in error.what


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", errors.ImportFailed),
        (log("importing"), errors.ImportFailed),
        (log("setup"), errors.SetupHung),
        (log("connecting"), errors.NotRegistered),
        (log("polling"), errors.NotRegistered),
    ],
)
def test_the_phase_tells_why_a_version_never_appears(text: str, kind: type[errors.ConduitError]) -> None:
    assert isinstance(diagnosis.never_registered(BUILD, text, deployment("x"), 5, heard=False), kind)


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (deployment("x", *(version(f"b{index}", 1) for index in range(7))), "beside 7 versions"),
        (None, "the workers of measure and does not list it"),
    ],
)
def test_a_server_that_hears_workers_and_lists_no_version_has_no_room(
    seen: Deployment | None, told: str
) -> None:
    error = diagnosis.never_registered(BUILD, log("polling"), seen, 5, heard=True)
    assert isinstance(error, errors.VersionLimit)
    assert told in error.what


def test_changed_routing_names_both_builds() -> None:
    error = diagnosis.routing_changed(
        Route(algorithm="measure", build_id="new", expected=("old",)), deployment("other")
    )
    assert "other" in error.why
    assert "old" in error.why
