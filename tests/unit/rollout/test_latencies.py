"""What workers' figures come to, and who is asked."""

import pytest

from pipeline.rollout.judge import Latency
from pipeline.rollout.latencies import ASKED, COUNTED, latencies
from pipeline.worker.probe import Reference, Served


def served(seconds: list[float], worker: str = "a", activity: str = "m") -> Served:
    """The newest first, as a worker names them."""
    named = tuple(
        Reference(workflow_id="w", run_id=worker, workflow_type="W", activity_id=str(n), seconds=each)
        for n, each in enumerate(seconds)
    )
    return Served(activity=activity, calls=len(named), failures=0, p50=None, p95=None, references=named)


def test_only_the_latest_calls_count_as_a_new_process_is_slow_at_first() -> None:
    warm_up = [9.0] * (ASKED - COUNTED)
    known = latencies([[served([0.1] * COUNTED + warm_up)]])
    assert known == {"m": Latency(p50=0.1, p95=0.1)}


@pytest.mark.parametrize("calls", [0, 1, ASKED - 1])
def test_too_few_calls_tell_nothing(calls: int) -> None:
    assert latencies([[served([0.1] * calls)]]) == {}


def test_one_worker_that_answers_twice_counts_once_and_two_workers_count_together() -> None:
    half = [served([0.1] * (ASKED // 2))]
    assert latencies([half, half]) == {}
    assert latencies([half, [served([0.1] * (ASKED - ASKED // 2), worker="b")]]) != {}


def test_each_activity_has_figures_of_its_own() -> None:
    known = latencies([[served([0.1] * ASKED), served([0.4] * ASKED, activity="n")]])
    assert (known["m"].p50, known["n"].p50) == (0.1, 0.4)
