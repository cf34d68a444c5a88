"""Run with `python -m pytest`; Temporal's own test environment is all that it needs."""

import dataclasses

from temporalio.testing import ActivityEnvironment

from tuning import PROGRESS, Progress, Series, tune

RISING = Series(values=[1, 2, 3, 4], candidates=10)


def test_the_newest_value_tells_most_of_a_rising_series() -> None:
    assert ActivityEnvironment().run(tune, RISING).factor == 1


def test_it_goes_on_from_what_was_saved() -> None:
    saved: list[object] = []
    first = ActivityEnvironment()
    first.on_heartbeat = saved.append
    first.run(lambda: PROGRESS.save(Progress(tried=9, factor=0.5, error=0.0)))

    second = ActivityEnvironment()
    second.info = dataclasses.replace(second.info, heartbeat_details=saved)
    assert second.run(tune, RISING).factor == 0.5
