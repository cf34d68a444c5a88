"""What every command starts from."""

from pipeline.commands.session import Session, algorithms
from pipeline.report import Report


def test_a_deployment_of_batch_calls_is_no_algorithm() -> None:
    assert algorithms(["b/batch", "a", "b"]) == ("a", "b")


def test_a_deployment_that_only_looks_like_one_is_somebodys_own() -> None:
    assert algorithms(["teams/batch", "a"]) == ("a", "teams/batch")


def test_who_runs_a_job_again_is_who_acts() -> None:
    ran_again = {"GITHUB_ACTOR": "who-pushed", "GITHUB_TRIGGERING_ACTOR": "who-ran-it-again"}
    assert Session(ran_again, Report()).by == "who-ran-it-again"
