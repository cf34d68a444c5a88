"""The build ID rule, and its one exception."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from pipeline.models import Build, Commit, Image, build_id, is_placeholder
from pipeline.worker.contract import Contract
from pipeline.worker.settings import HostSettings

SHA, DIGEST = "c" * 40, "sha256:" + "d" * 64


def record(identity: str) -> Build:
    return Build(
        algorithm="measure",
        build_id=identity,
        commit=Commit(sha=SHA, time=datetime(2026, 1, 1, tzinfo=UTC), author="a", subject="s", repo="r"),
        artifact=Image(digest=DIGEST, repository=""),
        contract=Contract(activities=()),
        host=HostSettings(task_queue="measure", activities=("a",)),
    )


@pytest.mark.parametrize("placeholder", [False, True])
def test_an_id_follows_from_commit_and_artifact_and_says_whether_it_is_a_placeholders(
    placeholder: bool,
) -> None:
    identity = build_id(SHA, DIGEST, placeholder=placeholder)
    assert (
        record(identity).build_id
        == identity
        == ("placeholder-" if placeholder else "") + "cccccccccccc-dddddd"
    )
    assert is_placeholder(identity) == placeholder


@pytest.mark.parametrize("identity", ["cccccccccccc-eeeeee", "placeholder-eeeeee", "placeholder-", "latest"])
def test_an_id_that_does_not_follow_is_refused(identity: str) -> None:
    with pytest.raises(ValidationError, match=r"does not follow|pattern"):
        record(identity)
