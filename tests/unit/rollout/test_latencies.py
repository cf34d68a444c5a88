"""What workers' figures come to, and who is asked."""

import asyncio
from datetime import timedelta
from typing import cast

import pytest
from temporalio.client import Client

from pipeline.gates.probing import Target
from pipeline.rollout import latencies
from pipeline.rollout.judge import UNTOLD, Heard, Work
from pipeline.rollout.latencies import ASKED, COUNTED, LAST_PATIENCE, PATIENCE, Figures, Side, work
from pipeline.worker.probe import ProbeAnswer, Reference, Served


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


NEW = Side(build_id="new", workers=1, calls=ASKED)
OLD = Side(build_id="old", workers=1, calls=ASKED)
SERVED = ProbeAnswer(served=(served([0.1] * ASKED),))
FEW = ProbeAnswer(served=(served([0.1]),))


class Asked:
    """Stands in for the workers of two builds, of which one may not answer."""

    def __init__(self) -> None:
        self.answers: dict[str, ProbeAnswer | None] = {"new": SERVED, "old": SERVED}
        self.until = asyncio.Event()
        self.until.set()

    async def probe(self, client: Client, target: Target, *_: object) -> ProbeAnswer | None:
        await self.until.wait()
        return self.answers[target.build_id]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(latencies, "probe", asked.probe)
    monkeypatch.setattr(latencies, "AGAIN", -1.0)
    return asked


async def heard(figures: Figures, times: int = 1) -> Heard:
    """What became of asking a doubtful build so many times."""
    for _ in range(times):
        await figures.at_the_end(NEW, OLD, doubtful=True)
    return figures.told.heard


def figures() -> Figures:
    return Figures(cast(Client, None), "a", UNTOLD)


async def test_a_build_is_silent_only_after_others_answered_beside_it_more_than_once(asked: Asked) -> None:
    asked.answers = {"new": None, "old": None}
    those = figures()
    assert await heard(those, PATIENCE) is Heard.NOTHING  # the server stands still
    asked.answers["old"] = SERVED
    assert await heard(those) is Heard.NOTHING
    assert await heard(those) is Heard.SILENCE


async def test_a_build_that_answered_until_now_is_not_silent_for_current_s_sake(asked: Asked) -> None:
    asked.answers["old"] = None
    those = figures()
    await heard(those, LAST_PATIENCE - 1)
    asked.answers["new"] = None
    assert await heard(those) is Heard.NOTHING
    assert await heard(those, LAST_PATIENCE) is Heard.SILENCE


@pytest.mark.parametrize(("current", "times"), [(FEW, 1), (None, LAST_PATIENCE)])
async def test_where_current_has_no_figures_heartbeats_alone_tell(
    asked: Asked, current: ProbeAnswer | None, times: int
) -> None:
    """Else nothing would: a build that hangs beside a Current just started would never be found out."""
    asked.answers["old"] = current
    those = figures()
    assert await heard(those, times) is Heard.NOTHING_TO_COMPARE
    asked.answers["old"] = SERVED
    assert await heard(those) is Heard.ANSWER


async def test_what_was_asked_before_a_build_was_doubtful_does_not_speak_for_it(asked: Asked) -> None:
    those = figures()
    asked.until.clear()
    those.want(NEW, OLD)
    await asyncio.sleep(0)
    those.want(NEW, OLD, doubtful=True)
    asked.until.set()
    assert await heard(those) is Heard.NOTHING
    assert await heard(those) is Heard.ANSWER


async def test_a_worker_that_does_not_answer_hides_no_other(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latencies, "ASKING", timedelta(seconds=0.05))
    tell = iter([True, False])

    async def one_hangs(client: Client, target: Target, *_: object) -> ProbeAnswer:
        if not next(tell, True):
            await asyncio.Event().wait()
        return SERVED

    monkeypatch.setattr(latencies, "probe", one_hangs)
    those = figures()
    two = NEW.model_copy(update={"workers": 2})
    await those.at_the_end(two, OLD)
    assert set(those.told.candidate) == {"m"}
