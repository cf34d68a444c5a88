"""The pages that are found again: comment, check run and onboarding, on a GitHub that remembers."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from github.Repository import Repository

from pipeline.commands.onboard import onboard as onboard_command
from pipeline.errors import GitHubRefused, NoActivity, NoGitHubToken, OnboardingBlocked
from pipeline.github.client import Client
from pipeline.github.onboard import TITLE, Onboarded, onboard
from pipeline.github.page_models import Annotation, Check
from pipeline.github.pages import Pages
from tests.integration.github.conftest import PATIENCE, Owner
from tests.parts.conduit import Conduit
from tests.parts.github_api import OWNER, PERSON_TOKEN, Door, Trouble

ACTIVITY = (
    "from temporalio import activity\n\n\n@activity.defn\ndef identify(clip: str) -> str:\n    return clip\n"
)
RESEARCH = {
    "src/speaker_id/activities.py": ACTIVITY,
    "src/speaker_id/model.py": "import numpy\n",
    "tests/test_activities.py": ACTIVITY,
    "pyproject.toml": '[project]\nname = "speaker-id"  # kept\n',
}
TOOLKIT = "acme/algorithm-conduit@v2"

Environment = Callable[..., dict[str, str]]
AsPerson = Callable[[Door], Client]


@pytest.fixture
def research(owner: Owner) -> Repository:
    return owner.repo(RESEARCH)


# The comment


@pytest.fixture
def on_pull_request(
    stateful: Door, as_job: Environment, owner: Owner, research: Repository, tmp_path: Path
) -> dict[str, str]:
    main = research.get_git_ref("heads/main").object.sha
    research.create_git_ref("refs/heads/better", main)
    head = owner.commit(research, "better", "Better", {"x.py": "x"})
    pull = research.create_pull(base="main", head="better", title="Better", body="")
    event = tmp_path / "event.json"
    origin = {"full_name": research.full_name}
    event.write_text(
        json.dumps({"pull_request": {"number": pull.number, "head": {"sha": head, "repo": origin}}})
    )
    return as_job(stateful, research.full_name, main, GITHUB_EVENT_PATH=str(event))


def comments(repository: Repository) -> list[tuple[str, str]]:
    (pull,) = repository.get_pulls(state="open")
    return [(comment.user.type, comment.body) for comment in pull.get_issue_comments()]


def test_a_comment_is_updated_and_not_repeated(on_pull_request: dict[str, str], research: Repository) -> None:
    for body in ("Breaks `identify`.", "Nothing breaks.", "Nothing breaks."):
        pages = Pages(on_pull_request, patience=PATIENCE)
        pages.comment("contract speaker-id", body)
        assert pages.left_out == ()
    assert comments(research) == [("Bot", "<!-- conduit: contract speaker-id -->\n\nNothing breaks.\n")]


def test_two_algorithms_of_a_repo_have_a_comment_each(
    on_pull_request: dict[str, str], research: Repository
) -> None:
    pages = Pages(on_pull_request, patience=PATIENCE)
    pages.comment("contract speaker-id", "one")
    pages.comment("contract speaker", "two")
    assert [body.splitlines()[-1] for _, body in comments(research)] == ["one", "two"]


def test_the_comment_of_a_person_who_wrote_our_marker_is_left_alone(
    on_pull_request: dict[str, str], research: Repository
) -> None:
    forged = "<!-- conduit: contract speaker-id -->\n\nNothing breaks, merge it!"
    research.get_pulls(state="open")[0].create_issue_comment(forged)
    Pages(on_pull_request, patience=PATIENCE).comment("contract speaker-id", "Breaks `identify`.")
    assert [(kind, body.splitlines()[-1]) for kind, body in comments(research)] == [
        ("User", "Nothing breaks, merge it!"),
        ("Bot", "Breaks `identify`."),
    ]


def test_our_comment_is_found_among_many(on_pull_request: dict[str, str], research: Repository) -> None:
    pull = research.get_pulls(state="open")[0]
    for number in range(101):
        pull.create_issue_comment(f"talk {number}")
    for body in ("first", "second"):
        Pages(on_pull_request, patience=PATIENCE).comment("contract speaker-id", body)
    assert [body.splitlines()[-1] for kind, body in comments(research) if kind == "Bot"] == ["second"]


def test_a_comment_whose_answer_was_lost_is_not_repeated(
    stateful: Door, on_pull_request: dict[str, str], research: Repository
) -> None:
    stateful.troubles.append(Trouble(on="POST /comments"))
    pages = Pages(on_pull_request, patience=PATIENCE)
    pages.comment("contract speaker-id", "Nothing breaks.")
    assert pages.left_out == ()
    assert len(comments(research)) == 1


# The check run


def test_a_check_run_whose_answer_was_lost_is_gone_on_with(
    stateful: Door, on_pull_request: dict[str, str], research: Repository
) -> None:
    stateful.troubles += [Trouble(on="POST /check-runs"), Trouble(on="PATCH /check-runs/*")]
    fault = Annotation(path="x.py", line=1, message="NameError: x")
    pages = Pages(on_pull_request, patience=PATIENCE)
    pages.check(
        Check(name="conduit", conclusion="failure", title="1 failed", summary="…", annotations=(fault,))
    )
    assert pages.left_out == ()
    assert pages.context is not None
    assert pages.context.pull_request is not None
    (run,) = research.get_commit(pages.context.pull_request.head_sha).get_check_runs()
    assert (run.status, run.conclusion, run.output.title) == ("completed", "failure", "1 failed")
    sent = [c.body["output"]["annotations"] for c in stateful.calls if c.method == "PATCH"]
    assert [len(annotations) for annotations in sent] == [1, 0], "a stored annotation is not sent twice"


# Onboarding


def run_onboarding(door: Door, as_person: AsPerson, repository: Repository, path: str = "") -> Onboarded:
    return onboard(as_person(door), repository.full_name, toolkit=TOOLKIT, path=path)


def test_onboarding_opens_a_pull_request_that_adds_what_is_missing(
    stateful: Door, owner: Owner, research: Repository
) -> None:
    environment = {"GITHUB_API_URL": stateful.url, "GH_TOKEN": PERSON_TOKEN}
    onboarded = onboard_command(research.full_name, environment, toolkit=TOOLKIT)
    (pull,) = research.get_pulls(state="open")
    assert (onboarded.outcome, onboarded.pull_request.rpartition("/")[2]) == ("opened", str(pull.number))
    assert (pull.title, pull.base.ref, pull.head.ref) == (TITLE, "main", "conduit/onboard")
    assert {file.filename for file in research.compare("main", "conduit/onboard").files} == {
        ".github/workflows/conduit.yml",
        ".github/workflows/conduit-rollback.yml",
        "pyproject.toml",
    }
    pyproject = owner.file(research, "pyproject.toml", "conduit/onboard")
    assert pyproject.startswith(RESEARCH["pyproject.toml"])
    assert tomllib.loads(pyproject)["tool"]["conduit"] == {
        "algorithm": research.name,
        "activities": ["speaker_id.activities"],
    }
    workflow = owner.file(research, ".github/workflows/conduit.yml", "conduit/onboard")
    assert "    uses: acme/algorithm-conduit/.github/workflows/conduit.yml@v2\n" in workflow
    assert "activities in ` speaker_id.activities `" in pull.body


def test_the_command_line_onboards(
    stateful: Door, research: Repository, owner: Owner, tmp_path: Path
) -> None:
    machine = Conduit(tmp_path, {"GITHUB_API_URL": stateful.url, "GH_TOKEN": PERSON_TOKEN})
    told = machine.good("onboard", research.full_name).out
    (pull,) = research.get_pulls(state="open")
    assert f"{research.name}: opened {stateful.url}/{research.full_name}/pull/{pull.number}\n" in told
    # The owner's own copy of the conduit, unless another is named.
    caller = owner.file(research, ".github/workflows/conduit.yml", "conduit/onboard")
    assert f"uses: {OWNER}/algorithm-conduit/.github" in caller
    again = machine.good("onboard", research.full_name, "--toolkit", TOOLKIT, "--json").json
    assert (again["outcome"], again["plan"]["algorithm"]) == ("updated", research.name)
    refused = Conduit(tmp_path, {"GH_TOKEN": "", "GITHUB_TOKEN": ""})("onboard", research.full_name, "--json")
    assert (refused.code, refused.json["error"]) == (NoGitHubToken.exit_code, "NoGitHubToken")


def test_onboarding_again_changes_nothing(stateful: Door, as_person: AsPerson, research: Repository) -> None:
    first = run_onboarding(stateful, as_person, research)
    writes = len([call for call in stateful.calls if call.method != "GET"])
    again = run_onboarding(stateful, as_person, research)
    assert (first.outcome, again.outcome) == ("opened", "unchanged")
    assert first.pull_request == again.pull_request
    # A tree is made to be compared; nothing points to it.
    assert [c.method for c in stateful.calls if c.method != "GET"][writes:] == ["POST"]


def test_onboarding_again_follows_the_repo(
    stateful: Door, as_person: AsPerson, owner: Owner, research: Repository
) -> None:
    run_onboarding(stateful, as_person, research)
    owner.commit(research, "main", "More", {"src/speaker_id/more.py": ACTIVITY})
    again = run_onboarding(stateful, as_person, research)
    assert (again.outcome, again.plan.activities) == ("updated", ("speaker_id.activities", "speaker_id.more"))
    (pull,) = research.get_pulls(state="open")
    assert "speaker_id.more" in owner.file(research, "pyproject.toml", "conduit/onboard")
    assert "speaker_id.more" in pull.body
    assert research.compare("main", "conduit/onboard").total_commits == 1


def test_onboarding_does_not_undo_what_others_put_on_its_branch(
    stateful: Door, as_person: AsPerson, owner: Owner, research: Repository
) -> None:
    run_onboarding(stateful, as_person, research)
    theirs = owner.commit(research, "conduit/onboard", "Fix it up", {"README.md": "mine"})
    with pytest.raises(OnboardingBlocked):
        run_onboarding(stateful, as_person, research)
    assert research.get_git_ref("heads/conduit/onboard").object.sha == theirs


def test_a_repo_that_has_everything_gets_no_pull_request(
    stateful: Door, as_person: AsPerson, owner: Owner, research: Repository
) -> None:
    planned = run_onboarding(stateful, as_person, research).plan
    owner.commit(research, "main", "Merge", planned.files)
    again = run_onboarding(stateful, as_person, research)
    assert (again.outcome, again.pull_request) == ("nothing-missing", "")
    assert set(again.plan.kept) == {".github/workflows/conduit.yml", ".github/workflows/conduit-rollback.yml"}


def test_a_folder_of_a_monorepo(stateful: Door, as_person: AsPerson, owner: Owner) -> None:
    monorepo = owner.repo(
        {f"voice/{path}": text for path, text in RESEARCH.items()} | {"other/a.py": ACTIVITY}
    )
    onboarded = run_onboarding(stateful, as_person, monorepo, path="voice")
    assert (onboarded.plan.algorithm, onboarded.plan.activities) == ("voice", ("speaker_id.activities",))
    assert set(onboarded.plan.files) == {
        ".github/workflows/conduit-voice.yml",
        ".github/workflows/conduit-voice-rollback.yml",
        "voice/pyproject.toml",
    }


def test_a_repo_without_an_activity_is_told_so(stateful: Door, as_person: AsPerson, owner: Owner) -> None:
    empty = owner.repo({"tests/test_activities.py": ACTIVITY, "model.py": "import numpy\n"})
    with pytest.raises(NoActivity) as refused:
        run_onboarding(stateful, as_person, empty)
    assert "2 Python files" in refused.value.why
    assert list(empty.get_pulls(state="all")) == []


def test_a_repo_that_does_not_exist_is_told_so(stateful: Door, as_person: AsPerson) -> None:
    with pytest.raises(GitHubRefused) as refused:
        onboard(as_person(stateful), "octocat/nobody", toolkit=TOOLKIT)
    assert "404" in refused.value.why
    assert "may see it" in refused.value.now


@pytest.mark.parametrize("on", ["POST /git/commits", "POST /git/refs", "POST /pulls"])
def test_onboarding_whose_answer_was_lost_makes_one_pull_request(
    stateful: Door, as_person: AsPerson, research: Repository, on: str
) -> None:
    stateful.troubles.append(Trouble(on=on))
    assert run_onboarding(stateful, as_person, research).pull_request
    assert research.get_pulls(state="all").totalCount == 1
