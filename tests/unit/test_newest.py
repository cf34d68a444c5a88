"""The step that sorts a superseded push out, run as it stands in the workflow file, on real repositories."""

import subprocess
from pathlib import Path

import pytest

from tests.parts.repos import commit, git, make_repo
from tests.parts.workflow_files import job, steps

REF = "refs/heads/main"


class Remote:
    """A repository on GitHub, and what the step answers for a push to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bare = folder / "remote.git"
        self.clone = folder / "clone"
        make_repo(self.clone, {"a": "1"})
        git(folder, "clone", "--quiet", "--bare", str(self.clone), str(self.bare))
        for allowed in ("allowAnySHA1InWant", "allowFilter"):
            git(self.bare, "config", f"uploadpack.{allowed}", "true")
        self.pushed = git(self.clone, "rev-parse", "HEAD")

    def push(self, message: str, ref: str = REF) -> str:
        sha = commit(self.clone, {"a": message}, message=message)
        git(self.clone, "push", "--quiet", str(self.bare), f"HEAD:{ref}")
        return sha

    def ask(self, sha: str, ref: str = REF, repository: str = "acme/voice") -> tuple[int, str, str]:
        """The step's exit code, its output and its summary."""
        given, summary = self.folder / "output", self.folder / "summary"
        given.write_text("")
        summary.write_text("")
        config = self.folder / "gitconfig"
        config.write_text(f'[url "file://{self.bare}"]\n\tinsteadOf = https://git.example/acme/voice\n')
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "GIT_CONFIG_GLOBAL": str(config),
            "GITHUB_SERVER_URL": "https://git.example",
            "GITHUB_REPOSITORY": repository,
            "GITHUB_REF": ref,
            "GITHUB_SHA": sha,
            "GITHUB_OUTPUT": str(given),
            "GITHUB_STEP_SUMMARY": str(summary),
            "RUNNER_TEMP": str(self.folder),
            "TOKEN": "secret",
        }
        [step] = [step for step in steps(job("conduit", "newest")) if step.get("id") == "ask"]
        # As GitHub runs a step with `shell: bash`.
        assert step["shell"] == "bash"
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, check=False)
        return done.returncode, given.read_text().strip(), summary.read_text()


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


def test_the_newest_push_goes_on(remote: Remote) -> None:
    assert remote.ask(remote.pushed) == (0, "is-newest=true", "")


def test_a_superseded_push_does_not_and_says_so(remote: Remote) -> None:
    newer = remote.push("Newer")
    code, output, summary = remote.ask(remote.pushed)
    assert (code, output) == (0, "is-newest=false")
    assert "a newer push took this one's place" in summary
    assert remote.ask(newer)[1] == "is-newest=true"


@pytest.mark.parametrize("message", ["Words [skip ci]", "[no ci] Words", "Words\n\nskip-checks: true"])
def test_a_newer_push_that_starts_no_run_takes_no_place(remote: Remote, message: str) -> None:
    remote.push(message)
    assert remote.ask(remote.pushed) == (0, "is-newest=true", "")


def test_a_branch_that_is_gone_has_no_newest_push(remote: Remote) -> None:
    assert remote.ask(remote.pushed, ref="refs/heads/gone")[:2] == (0, "is-newest=false")


def test_a_ref_is_a_ref_whatever_is_in_it(remote: Remote) -> None:
    hostile = "refs/heads/x;touch${IFS}trap$(touch${IFS}trap)`touch${IFS}trap`'\"|&<"
    sha = remote.push("Hostile $(touch trap) `touch trap`", hostile)
    assert remote.ask(sha, ref=hostile)[:2] == (0, "is-newest=true")
    assert not (remote.folder / "trap").exists()


@pytest.mark.parametrize("ref", [f"refs/tags/{REF}", f"refs/heads/x/{REF}"])
def test_a_ref_that_only_ends_as_the_branch_does_is_another(remote: Remote, ref: str) -> None:
    remote.push("On another ref", ref)
    assert remote.ask(remote.pushed) == (0, "is-newest=true", "")


def test_a_newer_push_that_cannot_be_looked_at_is_not_taken_for_one_with_a_run(remote: Remote) -> None:
    newer = remote.push("Words [skip ci]")
    (remote.bare / "objects" / newer[:2] / newer[2:]).unlink()
    code, output, _ = remote.ask(remote.pushed)
    assert code != 0
    assert output == ""


def test_no_answer_is_not_taken_for_one(remote: Remote) -> None:
    code, output, _ = remote.ask(remote.pushed, repository="../../nowhere")
    assert code != 0
    assert output == ""
