"""What workers' figures come to, and who is asked."""

import pytest

from pipeline.rollout.judge import Work
from pipeline.rollout.latencies import ASKED, COUNTED, work
from pipeline.worker.probe import Reference, Served


def references(seconds: list[float], worker: str) -> tuple[Reference, ...]:
    return tuple(
        Reference(workflow_id="w", run_id=worker, workflow_type="W", activity_id=str(n), seconds=each)
        for n, each in enumerate(seconds)
    )


def served(
    seconds: list[float], worker: str = "a", activity: str = "m", running: list[float] | None = None
) -> Served:
    """The newest first, as a worker names them."""
    named = references(seconds, worker)
    return Served(
        activity=activity,
        calls=len(named),
        failures=0,
        p50=None,
        p95=None,
        references=named,
        running=references(running or [], f"{worker} now"),
    )


def test_only_the_latest_calls_count_as_a_new_process_is_slow_at_first() -> None:
    warm_up = [9.0] * (ASKED - COUNTED)
    known = work([[served([0.1] * COUNTED + warm_up)]])
    assert (known["m"].calls, known["m"].p50, known["m"].p95) == (COUNTED, 0.1, 0.1)
    assert known["m"].busy == pytest.approx(0.1 * COUNTED)


@pytest.mark.parametrize("calls", [0, 1, ASKED - 1])
def test_too_few_calls_tell_nothing(calls: int) -> None:
    assert work([[served([0.1] * calls)]])["m"].p50 is None


def test_one_worker_that_answers_twice_counts_once_and_two_workers_count_together() -> None:
    half = [served([0.1] * (ASKED // 2))]
    assert work([half, half])["m"].calls == ASKED // 2
    assert work([half, [served([0.1] * (ASKED - ASKED // 2), worker="b")]])["m"].p50 == 0.1


def test_each_activity_has_figures_of_its_own() -> None:
    known = work([[served([0.1] * ASKED), served([0.4] * ASKED, activity="n")]])
    assert (known["m"].p50, known["n"].p50) == (0.1, 0.4)


def test_calls_under_way_count_with_their_ages_once_each_also_of_an_activity_that_ended_none() -> None:
    told = [served([], running=[5.0, 4.0])]
    assert work([told, told, [served([0.5], worker="b", running=[1.0])]]) == {
        "m": Work(calls=1, busy=0.5, running=10.0)
    }
