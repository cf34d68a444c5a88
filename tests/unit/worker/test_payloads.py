import pytest
from pydantic import BaseModel, ValidationError
from temporalio.exceptions import ApplicationError

from pipeline.worker.payloads import json_path, problems, require_count


class Clip(BaseModel):
    samples: list[float]


def invalid(json: str) -> ValidationError:
    with pytest.raises(ValidationError) as raised:
        Clip.model_validate_json(json)
    return raised.value


def test_a_path_reads_as_json_path() -> None:
    assert json_path(()) == "$"
    assert json_path(("clip", "samples", 3, "value")) == "$.clip.samples[3].value"


def test_problems_name_the_path_and_not_the_value() -> None:
    told = problems(invalid('{"samples": [1.0, "secret"]}'))
    assert told.startswith("$.samples[1]: ")
    assert "secret" not in told


def test_many_problems_are_counted() -> None:
    told = problems(invalid('{"samples": ["a", "b", "c", "d", "e", "f", "g"]}'))
    assert told.endswith("and 2 more")


def test_an_optional_argument_may_be_left_out() -> None:
    def act(clip: Clip | None = None) -> None: ...

    require_count("act", act, [])
    require_count("act", act, [None])


def test_too_many_arguments_are_refused_for_good() -> None:
    def act(clip: Clip) -> None: ...

    with pytest.raises(ApplicationError, match=r"takes 1 and was called with 2 arguments") as refused:
        require_count("act", act, [1, 2])
    assert refused.value.non_retryable
