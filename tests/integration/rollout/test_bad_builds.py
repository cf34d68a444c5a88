"""Bad builds under load: each is stopped by itself, and nothing that it broke stays broken."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio.client import Client

from pipeline import errors
from pipeline.deployments import Deployments, Status
from pipeline.errors import ConduitError
from pipeline.models import Build, Environment
from pipeline.options.release import ReleaseOptions, ramp_step
from pipeline.rollout.judge import FEWEST_FAILURES, UNTOLD, Heard
from pipeline.rollout.latencies import ASKED, Figures, Side
from pipeline.rollout.pending import pending_calls
from pipeline.rollout.troubled import AGAIN
from tests.integration.rollout.conftest import Stage, activity
from tests.parts.load import Calling, Load, running_load
from tests.parts.waiting import eventually

WORKFLOWS = 12


@dataclass(frozen=True)
class Bad:
    """A build and how it has to end."""

    files: Mapping[str, str]
    error: type[ConduitError]
    words: str
    stages: tuple[str, ...] = ("ramp",)
    """In which it may be found out."""
    most_calls: int = 60
    """Attempts that production may have made with it, a loaded machine's lateness included."""
    recorded: str = ""
    """The name under which the history of its release is kept."""


BAD_BUILDS = {
    "fails 30 % of calls": Bad(
        activity("if random.random() < 0.3: raise RuntimeError('bad luck')"),
        errors.BuildTurnedBad,
        "calls failed, 2.0% are borne",
    ),
    "fails always": Bad(
        activity("raise RuntimeError('no weights')"),
        errors.BuildTurnedBad,
        "calls failed",
        most_calls=40,
        recorded="taken-back-from-its-ramp",
    ),
    "crashes after 50 calls": Bad(
        activity("if CALLS > 50: os._exit(9)"), errors.WorkerDied, "exit code 9", ("ramp", "watch"), 200
    ),
    "hangs": Bad(activity("time.sleep(3600)"), errors.BuildTurnedBad, ""),
    "deadlocks its loop": Bad(
        activity("time.sleep(3600)", kind="async def"), errors.BuildTurnedBad, "", most_calls=40
    ),
    "takes thirty times as long": Bad(
        activity("time.sleep(1.5)"), errors.BuildTurnedBad, "where Current's take"
    ),
    "takes ten times as long in calls below a second": Bad(
        activity("time.sleep(0.5)"),
        errors.BuildTurnedBad,
        "where Current's take",
        ("ramp", "watch"),
        most_calls=200,
    ),
    "leaks memory until it is killed": Bad(
        activity(
            "LEAKED.append(bytearray(2_000_000))\n    if CALLS > 60: os.kill(os.getpid(), signal.SIGKILL)"
        ),
        errors.WorkerDied,
        "killed by signal 9",
        ("ramp", "watch"),
        200,
    ),
    "turns bad once it is Current": Bad(
        activity("if pathlib.Path('turned').exists(): raise RuntimeError('the cache is full')"),
        errors.BuildTurnedBad,
        "after it became Current",
        stages=("watch",),
        most_calls=400,
        recorded="taken-back-from-its-watch",
    ),
}


async def has_answered(load: Load, calls: int) -> bool:
    return await load.answers() > calls


async def turn_bad_once_current(stage: Stage, client: Client, build: Build) -> None:
    """Leave a file in the workers' folder when the build has passed its ramp."""

    async def is_watched() -> bool:
        progress = await stage.progress(client)
        return progress is not None and (progress.build_id, progress.stage) == (build.build_id, "watch")

    await eventually(is_watched, within=120)
    assert isinstance(build.artifact, Environment)
    (build.artifact.source / "turned").touch()


@pytest.mark.parametrize("case", BAD_BUILDS)
async def test_a_bad_build_is_stopped_and_its_callers_are_healed(stage: Stage, case: str) -> None:
    bad = BAD_BUILDS[case]
    client = await stage.client()
    good = (await stage.seen(client)).current
    build = await stage.build(bad.files)
    async with running_load(client, Calling(algorithm=stage.algorithm), WORKFLOWS) as load:
        await eventually(lambda: has_answered(load, WORKFLOWS))
        turning = asyncio.create_task(turn_bad_once_current(stage, client, build))
        with pytest.raises(bad.error) as stopped:
            await stage.release(client, build)
        turning.cancel()
        called = await load.finish()
    assert bad.words in f"{stopped.value.what} {stopped.value.why}"
    assert [one.wrong for one in called] == [0] * WORKFLOWS
    assert all(one.right for one in called)
    seen = await stage.seen(client)
    assert (seen.current, seen.ramping) == (good, None)
    assert await asyncio.to_thread(stage.conduit.alive, stage.algorithm) == {good: 1}
    version = seen.version(build.build_id)
    assert version is not None
    assert version.status in (Status.DRAINING, Status.DRAINED, Status.INACTIVE)
    quarantine = (await stage.about(client, build.build_id)).quarantine
    assert quarantine is not None
    assert stopped.value.what in quarantine.reason
    progress = await stage.progress(client)
    assert progress is not None
    last = progress.judged[-1]
    assert (last.stage in bad.stages, last.verdict) == (True, "fail")
    assert last.candidate.calls + last.workflows <= bad.most_calls
    # Calls that hang are in no counter yet: the slots that they keep busy tell of them.
    assert last.candidate.calls or last.workflows or last.candidate.busy
    if bad.recorded:
        await stage.keep(client, bad.recorded)
    print(
        f"\n{case}: stopped in its {last.stage} after {last.candidate.calls} calls; {stopped.value.log[-200:]}"
    )


async def test_a_caller_whose_input_fails_on_every_build_does_not_stop_a_good_one(stage: Stage) -> None:
    client = await stage.client()
    good = (await stage.seen(client)).current
    build = await stage.build(activity("time.sleep(0.05)", revision="as good"))
    nearly_all = ReleaseOptions(steps=(ramp_step(99, 6),), watch=timedelta(seconds=8))
    build = build.model_copy(update={"release": nearly_all})

    async def fails_on_current() -> bool:
        calls = await pending_calls(client, stage.algorithm)
        return any((call.build_id, call.failures >= AGAIN) == (good, True) for call in calls)

    async def has_served_many() -> bool:
        workers = await Deployments(client).workers(stage.algorithm)
        return any(worker.build_id == good and worker.processed > 200 for worker in workers)

    async with running_load(client, Calling(algorithm=stage.algorithm), 40) as load:
        await eventually(has_served_many)  # beside which the broken one's tries are few
        await load.finish()
    async with (
        running_load(client, Calling(algorithm=stage.algorithm, broken=True), 1),
        running_load(client, Calling(algorithm=stage.algorithm), 4) as load,
    ):
        await eventually(fails_on_current, within=30)
        routed = await stage.release(client, build)
        called = await load.finish()
        broken = [call for call in await pending_calls(client, stage.algorithm) if call.failures]
    assert all(one.right and not one.wrong for one in called)
    assert [call.build_id for call in broken] == [build.build_id]
    ramp, watch = (judged.candidate for judged in routed.judged if judged.stage != "gate")
    assert watch.excused >= FEWEST_FAILURES  # the others' few calls would not outweigh them
    # A heartbeat comes up to a second after the failure that it counts.
    assert max(ramp.failed, watch.failed) < FEWEST_FAILURES
    assert ramp.excused + watch.excused <= broken[0].failures


async def test_an_input_that_comes_with_a_good_build_and_fails_again_and_again_does_not_stop_it(
    stage: Stage,
) -> None:
    client = await stage.client()
    build = await stage.build(activity("time.sleep(0.05)", revision="as good too"))
    build = build.model_copy(update={"release": ReleaseOptions(steps=(), watch=timedelta(seconds=8))})

    async def is_watched() -> bool:
        progress = await stage.progress(client)
        return progress is not None and (progress.build_id, progress.stage) == (build.build_id, "watch")

    async with running_load(client, Calling(algorithm=stage.algorithm), 3) as load:
        await eventually(load.answers)
        release = asyncio.create_task(stage.release(client, build))
        await eventually(is_watched, within=120)
        async with running_load(client, Calling(algorithm=stage.algorithm, broken=True), 1):
            routed = await release
        called = await load.finish()
    assert all(one.right and not one.wrong for one in called)
    watch = routed.judged[-1]
    assert watch.candidate.excused >= FEWEST_FAILURES
    assert 0 < watch.candidate.failed < FEWEST_FAILURES


async def test_workers_tell_how_long_their_calls_take_and_who_does_not_answer_holds_nothing_up(
    stage: Stage,
) -> None:
    client = await stage.client()
    live = (await stage.seen(client)).current or ""
    async with running_load(client, Calling(algorithm=stage.algorithm), 16) as load:
        await eventually(lambda: has_answered(load, ASKED))
        await load.finish()
    figures = Figures(client, stage.algorithm, UNTOLD)
    known = Side(build_id=live, workers=1, calls=ASKED)
    nobody = known.model_copy(update={"build_id": "nobody"})
    await figures.at_the_end(known, nobody)
    await figures.close()
    assert (figures.told.heard, figures.told.current) == (Heard.NOTHING, {})
    figures = Figures(client, stage.algorithm, UNTOLD)
    figures.want(known, known)

    async def is_told() -> bool:
        return figures.told.heard is Heard.ANSWER

    await eventually(is_told)
    assert set(figures.told.candidate) == {"measure"}
    work = figures.told.candidate["measure"]
    assert 0.05 <= (work.p50 or 0.0) <= (work.p95 or 0.0)

    async def is_silent() -> bool:
        figures.want(nobody, known, doubtful=True)
        return figures.told.heard is Heard.SILENCE

    await eventually(is_silent)
    await figures.close()
