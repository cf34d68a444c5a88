"""What `conduit release` refuses and skips before it talks to Temporal."""

import asyncio
import json
from pathlib import Path
from typing import cast

import pytest
from temporalio.client import Client

from pipeline import errors
from pipeline.cli import run
from pipeline.commands.release import Delivered, Wishes, done, refuse_passing_machine, release_build
from pipeline.commands.session import Session
from pipeline.commands.showing import Story
from pipeline.github.pages import Pages
from pipeline.models import Build, Workers, build_id
from pipeline.options.docker import DockerOptions
from pipeline.options.gates import GateOptions
from pipeline.options.release import ReleaseOptions
from pipeline.report import Report
from pipeline.rollout.policy import is_overtaken
from tests.parts.repos import make_repo
from tests.unit.build.test_record import IMAGE, OTHER, RECORD, SHA, changed, write
from tests.unit.github.test_context import ON_GITHUB


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job of GitHub Actions without a token; the folder of what it writes. No Temporal server answers."""
    files = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_OUTPUT": str(tmp_path / "output")}
    variables = {**ON_GITHUB, **files, "GITHUB_TOKEN": "", "CONDUIT_HOME": str(tmp_path / "home")}
    for name, value in {**variables, "TEMPORAL_ADDRESS": "127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def release(*arguments: object) -> int:
    return run(["release", *map(str, arguments)], {})


def test_a_forged_record_ends_red_with_its_cause_in_the_summary(
    github: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = write(github, changed("artifact.digest", "latest"))
    assert release(forged, "--json") == errors.RecordRefused.exit_code
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["error"] == "RecordRefused"
    assert "::error title=conduit::The build record cannot be released." in printed.err
    summary = (github / "summary").read_text()
    assert "The build record cannot be released" in summary
    assert "artifact" in summary
    assert "decision<<" in (github / "output").read_text()


def test_an_environment_of_another_machine_is_refused(
    github: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = changed("artifact", {**ENVIRONMENT, "digest": RECORD.artifact.digest})
    assert release(write(github, record)) == errors.RecordRefused.exit_code
    assert "not built on this machine" in capsys.readouterr().err


ENVIRONMENT = {"kind": "environment", "python": "/bin/sh", "code": ["/tmp"], "source": "/tmp"}  # noqa: S108


SAFE = """[tool.conduit]
algorithm = "speaker-id"
replicas = 2
[tool.conduit.release]
max-failure-rate = 0.01
[tool.conduit.gates]
side-effects = ["pay"]
"""


def test_how_a_build_is_started_gated_and_judged_is_the_commits_word_and_not_the_records(
    github: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    sha = make_repo(clone, {"pyproject.toml": SAFE})
    forged = RECORD.model_copy(
        update={
            "commit": RECORD.commit.model_copy(update={"sha": sha}),
            "build_id": build_id(sha, IMAGE.digest),
            "workers": Workers(replicas=1000, docker=DockerOptions(networks=("internal",))),
            "release": ReleaseOptions.model_validate({"steps": [], "max-failure-rate": 0.99}),
            "gates": GateOptions.model_validate({"approve-breaking": ["0123456789ab"]}),
        }
    )
    released: list[Build] = []

    async def remember(story: Story, client: object, build: Build, *_: object) -> Delivered:
        released.append(build)
        return done(story, build, "unchanged")

    async def connected(session: Session) -> None:
        return None

    monkeypatch.setattr("pipeline.commands.release.release_build", remember)
    monkeypatch.setattr("pipeline.commands.session.Session.connect", connected)
    assert release(write(github, forged.model_dump_json()), "--project", clone) == 0
    [build] = released
    assert (build.workers.replicas, build.workers.docker.networks) == (2, ())
    assert build.release == ReleaseOptions.model_validate({"max-failure-rate": 0.01})
    assert build.gates == GateOptions.model_validate({"side-effects": ["pay"]})


def test_a_push_that_is_no_longer_the_newest_skips(github: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = write(github, RECORD.model_dump_json())
    assert release(record, "--algorithm", "speaker-id", "--commit", SHA, "--newest", OTHER) == 0
    assert "a newer commit was pushed" in capsys.readouterr().out
    assert "superseded" in (github / "output").read_text()
    assert "a newer release took this one's place" in (github / "summary").read_text()


@pytest.mark.parametrize(("newest", "overtaken"), [(None, False), (SHA, False), (OTHER, True)])
def test_a_push_is_overtaken_once_its_branch_has_another_commit(
    newest: str | None, *, overtaken: bool
) -> None:
    assert is_overtaken(SHA, newest) == overtaken


HOSTED = {"RUNNER_ENVIRONMENT": "github-hosted", "TEMPORAL_ADDRESS": "temporal.example:7233"}


@pytest.mark.parametrize(
    ("runtime", "more"), [("docker", {}), ("docker", {"DOCKER_HOST": ""}), ("process", {})]
)
def test_workers_are_not_started_on_a_machine_that_goes_away_with_the_job(
    runtime: str, more: dict[str, str]
) -> None:
    with pytest.raises(errors.RuntimeUnavailable) as refused:
        refuse_passing_machine({**HOSTED, **more}, runtime)
    assert "DOCKER_HOST" in refused.value.now


@pytest.mark.parametrize(
    "more",
    [
        {"DOCKER_HOST": "tcp://workers.example:2376"},
        {"RUNNER_ENVIRONMENT": "self-hosted"},
        {"RUNNER_ENVIRONMENT": ""},
        {"TEMPORAL_ADDRESS": "127.0.0.1:7233"},
    ],
)
def test_workers_are_started_where_they_stay_or_need_not(more: dict[str, str]) -> None:
    refuse_passing_machine({**HOSTED, **more}, "docker")


def test_a_release_is_refused_before_anything_is_shown_or_routed() -> None:
    session = Session(HOSTED, Report(quiet=True))
    story = Story(session, Pages({}))
    client = cast(Client, None)
    with pytest.raises(errors.RuntimeUnavailable):
        asyncio.run(release_build(story, client, RECORD, lambda *_: None, Wishes()))
    assert not story.releases


def test_an_unreachable_server_ends_red_with_its_cause_in_the_summary(github: Path) -> None:
    record = write(github, RECORD.model_dump_json())
    assert release(record) == errors.TemporalUnreachable.exit_code
    summary = (github / "summary").read_text()
    assert "127.0.0.1:1" in summary.replace("\\", "")
    assert "speaker-id" in summary.replace("\\", "")


@pytest.mark.parametrize(
    "options",
    [
        ("--newest", "main"),
        ("--commit", "$(id)"),
        ("--registry", "evil example"),
        ("--repository", "host/name:tag"),
        ("--force",),
        ("--approve", "00ca35e6f337"),
        ("--approve", "everything", "--reason", "r"),
    ],
)
def test_options_that_are_none_are_a_wrong_command_line(github: Path, options: tuple[str, ...]) -> None:
    assert release(write(github, RECORD.model_dump_json()), *options) == 2
