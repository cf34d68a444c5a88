"""A pull request is verified, and told what it would break: in one comment, by a job that runs none of its code."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from github.Repository import Repository

from tests.actions import attack
from tests.actions.research import FILES
from tests.integration.github.conftest import Owner
from tests.parts.act import Actions
from tests.parts.github_api import PERMISSIONS, Door
from tests.parts.repos import git

TOLD = ["verify", "comment"]
# Takes one field more than callers send, and an activity whose name is a stranger's.
BREAKING = """\
from pydantic import BaseModel, Field
from temporalio import activity


class Clip(BaseModel):
    samples: list[float]
    rate: int = Field(alias={alias!r})


class Level(BaseModel):
    peak: float


@activity.defn
def measure(clip: Clip) -> Level:
    return Level(peak=max(clip.samples))


@activity.defn(name={name!r})
def another(clip: Clip) -> Level:
    return measure(clip)
"""


@pytest.fixture
def research(owner: Owner) -> Repository:
    """The repo as GitHub's interface has it; its code is in the clone."""
    return owner.repo({"README.md": "research"})


@pytest.fixture
def repo(actions: Actions, research: Repository, tmp_path: Path) -> Iterator[Actions]:
    """The clone of that repo, on a branch whose name is a stranger's."""
    own = Actions(
        folder=tmp_path / "github",
        act=actions.act,
        files={**FILES, "test_activities.py": ""},
        environment=actions.environment,
        secrets=actions.secrets,
        repository=research.full_name,
    )
    own.commit({}, "Base")
    git(own.clone, "checkout", "--quiet", "-b", attack.branch(tmp_path / "trap"))
    yield own
    assert not (tmp_path / "trap").exists()


@pytest.fixture
def pull(research: Repository, owner: Owner) -> int:
    """A pull request of any content, as GitHub's interface has it."""
    research.create_git_ref("refs/heads/better", research.get_git_ref("heads/main").object.sha)
    owner.commit(research, "better", "Better", {"x.py": "x"})
    return research.create_pull(base="main", head="better", title="Better", body="").number


@pytest.fixture
def token(job_token: Callable[[dict[str, str]], str]) -> str:
    """What the job may do its work with."""
    return job_token(PERMISSIONS)


def comments(research: Repository) -> list[str]:
    (pull,) = research.get_pulls(state="open")
    return [comment.body for comment in pull.get_issue_comments()]


def test_it_is_told_what_it_breaks_in_one_comment(
    repo: Actions, research: Repository, pull: int, token: str, stateful: Door
) -> None:
    def pushed(code: str) -> None:
        branch = git(repo.clone, "branch", "--show-current")
        repo.commit({"activities.py": code})
        github = {"GITHUB_API_URL": stateful.url}
        run = repo.pull_request(branch, pull, secrets={"GITHUB_TOKEN": token}, environment=github)
        git(repo.clone, "checkout", "--quiet", branch)
        assert (run.code, run.jobs) == (0, TOLD), run.log

    trap = repo.folder.with_name("trap")
    pushed(BREAKING.format(alias=attack.text(trap), name=attack.activity_name(trap)))
    (said,) = comments(research)
    assert "change that would break callers" in said
    assert "is required now" in said
    # Nobody is notified, and nothing is markup: what a stranger wrote is code.
    assert "@everyone" not in said
    assert "<img" not in said

    pushed(FILES["activities.py"])
    (said,) = comments(research)
    assert "no change for callers" in said


def test_one_from_a_fork_is_told_in_the_summary(repo: Actions, research: Repository, stateful: Door) -> None:
    branch = git(repo.clone, "branch", "--show-current")
    repo.commit({"README.md": "from afar"})
    run = repo.pull_request(
        branch,
        1,
        fork="mallory/research",
        secrets={"GITHUB_TOKEN": "token-that-may-read"},
        environment={"GITHUB_API_URL": stateful.url},
    )
    assert (run.code, run.jobs) == (0, TOLD), run.log
    assert stateful.calls == []
    assert "no change for callers" in run.summary("comment")
    assert "a pull request from a fork has a token that may only read" in run.summary("comment")


def test_another_branch_is_verified_and_no_more(repo: Actions, tmp_path: Path) -> None:
    loot = tmp_path / "loot"
    repo.commit({"test_activities.py": attack.suite(tmp_path / "trap", loot)})
    run = repo.push()
    assert (run.code, run.jobs) == (0, ["verify"]), run.log
    found = json.loads((loot / "variables.json").read_text())
    assert not {name for name in found if "TOKEN" in name and found[name]}
