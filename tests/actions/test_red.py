"""What ends red, or early: which jobs ran, and that the summary names the cause."""

from collections.abc import Iterator

import pytest

from tests.actions.research import PYPROJECT, TESTS, code
from tests.parts.act import Actions
from tests.parts.repos import git

BROKEN_DOCKERFILE = {
    "Dockerfile": "ARG BASE\nFROM ${BASE}\nRUN install-the-model --now\n",
    "pyproject.toml": PYPROJECT + '\n[tool.conduit.image]\ndockerfile = "Dockerfile"\n',
}


@pytest.fixture(autouse=True)
def good(actions: Actions) -> Iterator[str]:
    """A commit that is in order; what a test commits is gone again after it."""
    commit = actions.commit(code(3.0), "In order")
    yield commit
    git(actions.clone, "reset", "--quiet", "--hard", commit)


def test_failing_tests_stop_at_verify(actions: Actions) -> None:
    actions.commit({"test_activities.py": TESTS.replace("> 0", "< 0")})
    run = actions.push()
    assert (run.code, run.results) == (1, {"verify": "failure"}), run.log
    summary = run.summary("verify")
    assert "The repo's tests failed." in summary
    assert "test_it_hears_the_loudest" in summary
    faults = [c["kvPairs"] for c in run.commands("verify") if c["command"] == "error"]
    assert any(found.get("file") == "test_activities.py" for found in faults)


def test_a_broken_dockerfile(actions: Actions) -> None:
    actions.commit(BROKEN_DOCKERFILE)
    run = actions.push()
    assert (run.code, run.results) == (1, {"verify": "success", "build": "failure"}), run.log
    assert "The image could not be built." in run.summary("build")
    assert "install-the-model" in run.summary("build")


def test_a_wrong_password_for_the_registry(actions: Actions) -> None:
    run = actions.push(secrets={"REGISTRY_PASSWORD": "wrong-password-4711"})
    assert (run.code, run.results) == (1, {"verify": "success", "build": "failure"}), run.log
    registry = str(actions.inputs["registry"]).partition("/")[0]
    assert f"The registry {registry} refused the image." in run.summary("build")


def test_temporal_that_cannot_be_reached(actions: Actions) -> None:
    run = actions.push(secrets={"TEMPORAL_ADDRESS": "127.0.0.1:1"})
    assert run.code == 1
    assert run.results == {
        "verify": "success",
        "build": "success",
        "newest": "success",
        "release": "failure",
    }, run.log
    assert "No Temporal server answered" in run.summary("release")


def test_a_push_that_is_no_longer_the_newest_is_not_released(actions: Actions, good: str) -> None:
    actions.commit(code(4.0), "Newer")
    actions.send()
    git(actions.clone, "reset", "--quiet", "--hard", good)
    run = actions.pushed()
    assert (run.code, run.jobs) == (0, ["verify", "build", "newest"]), run.log
    assert "a newer push took this one's place" in run.summary("newest")
