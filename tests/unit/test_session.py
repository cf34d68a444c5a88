"""What every command starts from."""

from pipeline.commands.session import algorithms


def test_a_deployment_of_batch_calls_is_no_algorithm() -> None:
    assert algorithms(["b/batch", "a", "b"]) == ("a", "b")


def test_a_deployment_that_only_looks_like_one_is_somebodys_own() -> None:
    assert algorithms(["teams/batch", "a"]) == ("a", "teams/batch")
