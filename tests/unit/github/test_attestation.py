"""What is asked of `gh` before an image is released; a stand-in answers, since nothing can be signed here."""

from pathlib import Path

import pytest

from pipeline.commands.attested import attested
from pipeline.commands.session import Session
from pipeline.errors import GitHubContextInvalid, NotAttested, ToolMissing
from pipeline.github.attestation import Claim, image_of, question, verify
from pipeline.models import Environment, Image
from pipeline.report import Report
from tests.unit.build.test_record import IMAGE, RECORD

DIGEST = "sha256:" + 64 * "a"
CLAIM = Claim(
    image=f"ghcr.io/acme/voice@{DIGEST}",
    repository="acme/voice",
    workflow="acme/algorithm-conduit/.github/workflows/conduit.yml",
    sha=40 * "b",
)


def gh(folder: Path, script: str) -> dict[str, str]:
    """A machine whose `gh` does that."""
    program = folder / "gh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_the_question_names_image_repo_workflow_and_commit() -> None:
    assert question(CLAIM) == (
        "gh",
        "attestation",
        "verify",
        f"oci://ghcr.io/acme/voice@{DIGEST}",
        "--repo=acme/voice",
        "--signer-workflow=acme/algorithm-conduit/.github/workflows/conduit.yml",
        f"--source-digest={40 * 'b'}",
    )


def test_a_signed_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = gh(tmp_path, 'printf "%s\\n" "$@" >"$0.asked"')
    monkeypatch.setenv("PATH", machine["PATH"])
    verify(CLAIM, machine)
    assert (tmp_path / "gh.asked").read_text().splitlines() == [*question(CLAIM)[1:]]


def test_an_image_that_nobody_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = gh(tmp_path, 'echo "no attestations found"; exit 1')
    monkeypatch.setenv("PATH", machine["PATH"])
    with pytest.raises(NotAttested) as refused:
        verify(CLAIM, machine)
    assert "no attestations found" in refused.value.why


def test_a_gh_that_gives_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = gh(tmp_path, "exec sleep 600")
    monkeypatch.setenv("PATH", machine["PATH"])
    monkeypatch.setattr("pipeline.github.attestation.PATIENCE", 0.5)
    with pytest.raises(NotAttested, match="in time"):
        verify(CLAIM, machine)


def test_a_runner_without_gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing):
        verify(CLAIM, {"PATH": str(tmp_path)})


def test_the_command_asks_about_the_image_of_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = gh(tmp_path, 'printf "%s\\n" "$@" >"$0.asked"')
    monkeypatch.setenv("PATH", machine["PATH"])
    record = tmp_path / "build.json"
    record.write_text(RECORD.model_dump_json())
    job = {
        **machine,
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": CLAIM.repository,
        "GITHUB_SHA": CLAIM.sha,
        "GITHUB_API_URL": "http://127.0.0.1:9",
        "GITHUB_SERVER_URL": "https://git.example",
        "GITHUB_RUN_ID": "1",
    }
    done = attested(Session(environment=job, report=Report(quiet=True)), record, CLAIM.workflow)
    asked = Claim(**{**CLAIM.model_dump(), "image": IMAGE.reference})
    assert done.image == IMAGE.reference
    assert (tmp_path / "gh.asked").read_text().splitlines() == [*question(asked)[1:]]


def test_off_github_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(GitHubContextInvalid):
        attested(Session(environment={}, report=Report(quiet=True)), tmp_path / "none", CLAIM.workflow)


def test_only_an_image_in_a_registry_can_be_signed(tmp_path: Path) -> None:
    assert image_of(Image(digest=DIGEST, repository="ghcr.io/acme/voice")) == CLAIM.image
    environment = Environment(digest=DIGEST, python=tmp_path, code=(), source=tmp_path)
    for artifact in (Image(digest=DIGEST, repository=""), environment):
        with pytest.raises(NotAttested):
            image_of(artifact)
