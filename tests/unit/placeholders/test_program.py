"""The code that runs in a placeholder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from pipeline.placeholders import program
from pipeline.placeholders.answers import plan
from pipeline.placeholders.program import Stands, chosen
from pipeline.worker.describe import contract_of as contract_of_activities
from pipeline.worker.discovery import activity_of
from tests.parts import research
from tests.unit.contract.contracts import contract_of


def loaded(folder: Path, stands: Stands) -> list[Callable[..., Any]]:
    (folder / program.FILE).write_text(stands.model_dump_json())
    return list(program.load(folder / program.FILE).values())


async def test_each_activity_answers_with_what_was_planned(tmp_path: Path) -> None:
    planned = plan("measure", contract_of(argument=int, result=str), {"identify": ["a", "b"]}, hold=False)
    [call] = loaded(tmp_path, planned.stands)
    given = [await ActivityEnvironment().run(call, number) for number in range(20)]
    assert set(given) == {"a", "b"}
    assert given == [await ActivityEnvironment().run(call, number) for number in range(20)]


async def test_an_activity_without_an_argument_answers_too(tmp_path: Path) -> None:
    [call] = loaded(tmp_path, plan("measure", contract_of(result=int), {"identify": [3]}, hold=False).stands)
    assert await ActivityEnvironment().run(call) == 3


async def test_an_argument_that_does_not_fit_is_refused_for_good(tmp_path: Path) -> None:
    [call] = loaded(tmp_path, plan("measure", contract_of(argument=list[int]), {}, hold=False).stands)
    with pytest.raises(ApplicationError, match=r"\$\[1\]") as refused:
        await ActivityEnvironment().run(call, [1, "secret"])
    assert (refused.value.type, refused.value.non_retryable) == ("PayloadValidationError", True)
    assert "secret" not in str(refused.value)


async def test_a_held_call_is_tried_again_until_somebody_answers(tmp_path: Path) -> None:
    [call] = loaded(tmp_path, plan("measure", contract_of(result=int), {}, hold=True).stands)
    with pytest.raises(ApplicationError) as held:
        await ActivityEnvironment().run(call)
    assert not held.value.non_retryable
    assert held.value.next_retry_delay == program.HELD_FOR


def test_the_worker_host_reads_the_very_contract_that_was_declared(tmp_path: Path) -> None:
    contract = research.contract()
    calls = loaded(tmp_path, plan("speaker-id", contract, {}, hold=False).stands)
    activities = [found for call in calls if (found := activity_of(call))]
    assert contract_of_activities(activities).digest == contract.digest


def test_the_choice_does_not_depend_on_the_order_of_keys() -> None:
    assert all(
        chosen(("a", "b", "c"), {"x": n, "y": 1}) == chosen(("a", "b", "c"), {"y": 1, "x": n})
        for n in range(9)
    )
