"""What the workflow files promise, read from the files: who may what, what runs alone, what is pinned.

GitHub enforces these; the programs that run workflow files elsewhere do not, so no run can show them.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.parts import workflow_files
from tests.parts.workflow_files import (
    ACTION,
    CALLERS,
    FOLDER,
    NAMES,
    ROOT,
    job,
    jobs,
    secrets,
    steps,
    strings,
    workflow,
)

# Whose code each job runs, and all that its token may do.
TRUST: Mapping[tuple[str, str], tuple[str, dict[str, str]]] = {
    ("conduit", "verify"): ("the researcher's", {"contents": "read"}),
    ("conduit", "build"): ("the researcher's", {"contents": "read", "packages": "write"}),
    ("conduit", "comment"): ("ours", {"pull-requests": "write"}),
    ("conduit", "attest"): (
        "ours",
        {"attestations": "write", "id-token": "write", "packages": "read"},
    ),
    ("conduit", "newest"): ("ours", {"contents": "read"}),
    ("conduit", "release"): (
        "ours",
        {
            "attestations": "read",
            "checks": "write",
            "contents": "read",
            "deployments": "write",
            "packages": "read",
        },
    ),
    ("rollback", "rollback"): ("ours", {"contents": "read", "deployments": "write", "packages": "read"}),
    ("ci", "check"): ("ours", {"contents": "read"}),
    ("ci", "checked"): ("ours", {}),
    ("release", "check"): ("ours", {"contents": "read"}),
    ("release", "build"): ("ours", {"contents": "read"}),
    ("release", "publish"): ("ours", {"attestations": "write", "id-token": "write"}),
    ("release", "move"): ("ours", {"contents": "write"}),
}
TEMPORAL = {
    "TEMPORAL_ADDRESS",
    "TEMPORAL_NAMESPACE",
    "TEMPORAL_API_KEY",
    "TEMPORAL_TLS_CLIENT_CERT_DATA",
    "TEMPORAL_TLS_CLIENT_KEY_DATA",
    "TEMPORAL_TLS_SERVER_CA_CERT_DATA",
}
REGISTRY = {"REGISTRY_USER", "REGISTRY_PASSWORD"}
DEPLOYING = {("conduit", "release"), ("rollback", "rollback")}
USES = re.compile(r"uses: (?P<action>\S+?)@(?P<ref>\S+)(?: # (?P<comment>v\d+\.\d+\.\d+))?$", re.MULTILINE)
SHA = re.compile(r"[0-9a-f]{40}")
FILES = [*sorted(FOLDER.glob("*.yml")), ACTION]
PERMISSION = re.compile(r"^ +[a-z-]+: (?:read|write)(?P<rest>.*)$", re.MULTILINE)


def test_every_workflow_file_is_looked_at() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == set(NAMES)


class TestTrust:
    def test_each_job_may_what_the_table_says(self) -> None:
        assert {(name, id_): node.get("permissions") for name, id_, node in jobs()} == {
            key: permissions for key, (_, permissions) in TRUST.items()
        }

    @pytest.mark.parametrize("name", NAMES)
    def test_a_workflow_as_a_whole_may_nothing(self, name: str) -> None:
        assert workflow(name)["permissions"] == {}

    @pytest.mark.parametrize("file", [*FILES, *sorted(CALLERS.iterdir())], ids=lambda file: file.name)
    def test_each_permission_has_a_reason_on_its_line(self, file: Path) -> None:
        reasons = [found["rest"] for found in PERMISSION.finditer(file.read_text())]
        assert [rest for rest in reasons if not re.match(r" # \w+", rest)] == []

    def test_jobs_that_run_research_code_hold_no_deploy_secret(self) -> None:
        held = {id_: secrets(node) for name, id_, node in jobs() if TRUST[name, id_][0] == "the researcher's"}
        assert held == {"verify": set(), "build": REGISTRY}

    def test_the_credential_of_temporal_is_where_our_code_alone_runs(self) -> None:
        holding = {(name, id_) for name, id_, node in jobs() if secrets(node) & TEMPORAL}
        assert holding == DEPLOYING

    @pytest.mark.parametrize(("name", "id_"), sorted(DEPLOYING))
    def test_what_holds_it_runs_our_programs_alone(self, name: str, id_: str) -> None:
        commands = [step["run"].split()[0] for step in steps(job(name, id_)) if "run" in step]
        assert set(commands) == {"conduit"}
        holding = [step for step in steps(job(name, id_)) if secrets(step) & TEMPORAL]
        assert len(holding) == 1
        assert not secrets({key: value for key, value in job(name, id_).items() if key != "steps"})

    @pytest.mark.parametrize(("name", "id_"), sorted(DEPLOYING))
    def test_it_is_behind_the_environment_that_the_caller_names(self, name: str, id_: str) -> None:
        assert job(name, id_)["environment"] == {"name": "${{ inputs.environment }}"}

    def test_nothing_else_of_the_route_is_in_an_environment(self) -> None:
        named = {(name, id_) for name, id_, node in jobs() if "environment" in node}
        assert named == DEPLOYING | {("release", "publish")}

    def test_no_checkout_leaves_its_token_behind(self) -> None:
        checkouts = [
            step
            for _, _, node in jobs()
            for step in steps(node)
            if step.get("uses", "").startswith("actions/checkout@")
        ]
        assert checkouts
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)

    def test_the_jobs_own_token_goes_to_no_registry_but_githubs(self) -> None:
        logins = [
            step
            for _, _, node in jobs()
            for step in steps(node)
            if step.get("uses", "").startswith("docker/login-action@")
        ]
        wanted = (
            "${{ secrets.REGISTRY_PASSWORD || "
            "startsWith(inputs.registry, 'ghcr.io/') && github.token || '' }}"
        )
        assert {step["with"]["password"] for step in logins} == {wanted}

    def test_a_pull_request_is_verified_and_commented_on_and_no_more(self) -> None:
        condition = job("conduit", "build")["if"]
        assert "pull_request" not in condition
        assert "github.ref == format('refs/heads/{0}', github.event.repository.default_branch)" in condition
        for id_ in ("attest", "newest"):
            assert job("conduit", id_)["needs"] == "build"
        assert "needs.build.result == 'success'" in job("conduit", "release")["if"]

    @pytest.mark.parametrize("name", ["conduit", "rollback"])
    def test_no_event_runs_them_but_a_call(self, name: str) -> None:
        assert list(workflow(name)["on"]) == ["workflow_call"]


# What a stranger cannot choose: no branch, tag, title, message, author, label or body is among them.
HARMLESS = {
    *("github.actor", "github.event_name", "github.repository_owner", "github.run_id", "github.token"),
    *("github.event.pull_request.number", "github.event.repository.default_branch"),
    *("github.event.repository.visibility", "github.workflow"),
    "github.ref",  # compared, or the name of a group, and never put anywhere
}


class TestData:
    @pytest.mark.parametrize("name", NAMES)
    def test_no_text_of_an_event_is_used(self, name: str) -> None:
        used = set(re.findall(r"\bgithub\.[a-z_]+(?:\.[a-z_]+)*", " ".join(strings(workflow(name)))))
        assert used <= HARMLESS

    def test_the_ref_is_compared_alone(self) -> None:
        places = [text for node in jobs() for text in strings(node[2]) if "github.ref" in text]
        assert places
        assert all("github.ref ==" in text for text in places)

    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
    def test_nothing_is_interpolated_into_a_program(self, file: Path) -> None:
        node = workflow_files.parsed(file.read_text())
        lists = [node["runs"]["steps"]] if "runs" in node else [steps(each) for each in node["jobs"].values()]
        programs = [step["run"] for each in lists for step in each if "run" in step]
        assert programs
        assert [program for program in programs if "${{" in program] == []

    def test_calls_for_two_environments_in_one_run_hand_over_under_names_of_their_own(self) -> None:
        named = [
            step["env"]["NAME"]
            for id_ in ("verify", "build")
            for step in steps(job("conduit", id_))
            if "$GITHUB_OUTPUT" in step.get("run", "")
        ]
        assert named == ["${{ inputs.environment }}-${{ inputs.path }}"] * 2

    def test_what_a_build_calls_its_image_is_neither_an_option_nor_a_folder(self) -> None:
        # The action gives it to a program as it stands, which takes `dir:/` and `--option` too.
        looked_at = [
            step["with"]["image"]
            for step in steps(job("conduit", "attest"))
            if "image" in step.get("with", {})
        ]
        assert looked_at == ["registry:${{ needs.build.outputs.image }}"]

    def test_what_a_job_made_is_fetched_by_the_number_that_this_job_gave_it(self) -> None:
        fetched = [
            step["with"]
            for _, _, node in jobs()
            for step in steps(node)
            if step.get("uses", "").startswith("actions/download-artifact@")
        ]
        assert fetched
        # By name, another job of the run could have put its own there.
        assert all(
            "name" not in given and given["artifact-ids"].startswith("${{ needs.") for given in fetched
        )


class TestConcurrency:
    def test_one_release_of_an_algorithm_at_a_time_and_none_is_broken_off(self) -> None:
        assert job("conduit", "release")["concurrency"] == {
            "group": "conduit-release-${{ inputs.environment }}-${{ inputs.path }}",
            "cancel-in-progress": False,
        }

    def test_a_roll_back_waits_for_no_release(self) -> None:
        own = job("rollback", "rollback")["concurrency"]
        assert own["cancel-in-progress"] is False
        assert own["group"] != job("conduit", "release")["concurrency"]["group"]

    def test_the_tests_of_a_push_are_never_broken_off(self) -> None:
        group = job("conduit", "verify")["concurrency"]["group"]
        assert group.endswith("-${{ github.event.pull_request.number || github.run_id }}")

    @pytest.mark.parametrize(
        "id_", [("conduit", "verify"), ("conduit", "release"), ("rollback", "rollback")], ids="/".join
    )
    def test_calls_for_two_environments_do_not_end_each_other(self, id_: tuple[str, str]) -> None:
        assert "-${{ inputs.environment }}-${{ inputs.path }}" in job(*id_)["concurrency"]["group"]

    def test_a_version_that_waits_is_not_given_up_for_the_next(self) -> None:
        assert workflow("release")["concurrency"] == {
            "group": "release-${{ github.ref }}",
            "cancel-in-progress": False,
        }

    def test_a_superseded_push_is_sorted_out_before_the_release_asks_for_approval(self) -> None:
        release = job("conduit", "release")
        assert "newest" in release["needs"]
        assert "needs.newest.outputs.is-newest == 'true'" in release["if"]


class TestPins:
    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
    def test_actions_of_others_are_pinned_by_hash_with_their_version_beside_it(self, file: Path) -> None:
        found = [*USES.finditer(file.read_text())]
        assert all(SHA.fullmatch(each["ref"]) and each["comment"] for each in found)
        theirs = re.findall(r"^ +(?:- )?uses: (?!\$/)", file.read_text(), re.MULTILINE)
        assert len(found) == len(theirs)

    def test_an_action_has_one_version(self) -> None:
        versions: dict[str, set[str]] = {}
        for file in FILES:
            for each in USES.finditer(file.read_text()):
                versions.setdefault(each["action"], set()).add(f"{each['ref']} {each['comment']}")
        assert {action: found for action, found in versions.items() if len(found) > 1} == {}

    def test_the_toolkit_runs_at_the_commit_that_the_caller_pinned(self) -> None:
        # `$/` is the repository and the commit of the workflow file itself.
        own = {
            step["uses"]
            for name in ("conduit", "rollback")
            for node in workflow(name)["jobs"].values()
            for step in steps(node)
            if "toolkit" in step.get("uses", "")
        }
        assert own == {"$/.github/actions/toolkit"}

    def test_uv_is_the_one_that_is_pinned(self) -> None:
        (pinned,) = re.findall(r"^uv==(\S+)", (ROOT / "requirements/toolkit.txt").read_text(), re.MULTILINE)
        asked = {
            step["with"]["version"]
            for source in (
                [node for _, _, node in jobs()],
                [workflow_files.parsed(ACTION.read_text())["runs"]],
            )
            for node in source
            for step in steps(node)
            if step.get("uses", "").startswith("astral-sh/setup-uv@")
        }
        assert asked == {pinned}


class TestOurOwn:
    def test_one_check_is_required_and_it_needs_all_others(self) -> None:
        jobs_ = workflow("ci")["jobs"]
        needs = jobs_["checked"]["needs"]
        assert {needs} if isinstance(needs, str) else {*needs} == set(jobs_) - {"checked"}
        assert jobs_["checked"]["if"] == "always()"

    def test_publishing_waits_for_the_checks_and_stores_no_credential(self) -> None:
        publish = job("release", "publish")
        assert "check" in publish["needs"]
        assert [*secrets(workflow("release"))] == []
