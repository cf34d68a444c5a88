"""What every command starts from."""

from pipeline.commands.session import About, Session, algorithms
from pipeline.report import Report
from pipeline.rollout.messages import QUARANTINE_ENTRY


def test_a_deployment_of_batch_calls_is_no_algorithm() -> None:
    assert algorithms(["b/batch", "a", "b"]) == ("a", "b")


def test_a_deployment_that_only_looks_like_one_is_somebodys_own() -> None:
    assert algorithms(["teams/batch", "a"]) == ("a", "teams/batch")


def test_who_runs_a_job_again_is_who_acts() -> None:
    ran_again = {"GITHUB_ACTOR": "who-pushed", "GITHUB_TRIGGERING_ACTOR": "who-ran-it-again"}
    assert Session(ran_again, Report()).by == "who-ran-it-again"


def test_a_quarantine_that_cannot_be_read_is_one() -> None:
    newer = b'{"reason": "wrong", "by": "r", "at": "2026-01-01T00:00:00Z", "a newer field": 1}'
    for entry in (newer, b"no JSON"):
        quarantine = About({QUARANTINE_ENTRY: entry}).quarantine
        assert quarantine is not None
        assert "another version" in quarantine.reason
    assert About().quarantine is None
