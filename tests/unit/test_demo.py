import pytest

from pipeline.commands.demo_seen import (
    TELLING_CLIP,
    TIMES,
    Answer,
    DemoResult,
    StreamSeen,
    Stretch,
    build_of,
    check,
    sequence,
    settled,
    speakers_heard,
    stretches,
    table,
)
from pipeline.errors import DemoFailed

FIRST, BETTER, OTHER = "aaaaaaaaaaaa-111111", "bbbbbbbbbbbb-222222", "cccccccccccc-333333"


def calls(build_id: str, count: int = 2, speaker: str | None = None) -> tuple[Answer, ...]:
    heard = speaker or ("bruno" if build_id == BETTER else "carlos")
    return (Answer(build_id=build_id, clip=TELLING_CLIP, speaker=heard),) * count


def stream(*answers: Answer, **changes: object) -> StreamSeen:
    seen = StreamSeen(workflow_id="speaker-stream-1", answers=answers, completed=True)
    return seen.model_copy(update=changes)


GOOD = (*calls(FIRST, 3), *calls(BETTER, 2), *calls(FIRST, 1))


@pytest.mark.parametrize(
    ("identity", "build_id"),
    [("speaker-id/aaaaaaaaaaaa-111111@host:42", FIRST), ("speaker-id/v1.2@a/b@c:1", "v1.2")],
)
def test_the_build_is_read_from_the_identity(identity: str, build_id: str) -> None:
    assert build_of(identity) == build_id


@pytest.mark.parametrize("identity", ["", "42@host", "speaker-id/@host:1", "other/b@host:1", "speaker-id/b"])
def test_a_strangers_identity_is_no_build(identity: str) -> None:
    with pytest.raises(DemoFailed, match="no worker of speaker-id"):
        build_of(identity)


def test_calls_in_a_row_are_counted() -> None:
    assert stretches(()) == ()
    assert stretches(GOOD) == (
        Stretch(build_id=FIRST, calls=3),
        Stretch(build_id=BETTER, calls=2),
        Stretch(build_id=FIRST, calls=1),
    )


def test_a_build_has_settled_when_it_answered_every_clip_since_it_took_over() -> None:
    one, two = (Answer(build_id=FIRST, clip=clip, speaker="alice") for clip in ("one", "two"))
    clips = ("one", "two")
    assert settled((one, two), FIRST, clips)
    assert not settled((one, one), FIRST, clips)
    assert not settled((one, two, *calls(BETTER)), FIRST, clips)
    assert not settled((one, *calls(BETTER), two), FIRST, clips)
    assert not settled((), FIRST, clips)


def test_each_speaker_heard_is_named_once() -> None:
    assert speakers_heard(GOOD, FIRST, TELLING_CLIP) == ("carlos",)
    assert speakers_heard(GOOD, FIRST, "another.wav") == ()


def test_a_change_and_a_change_back_pass() -> None:
    check([stream(*GOOD), stream(*GOOD)], FIRST, BETTER)


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (stream(*calls(FIRST)), f"did not change to {BETTER}"),
        (stream(*calls(FIRST), *calls(BETTER)), f"did not change back to {FIRST}"),
        (stream(*calls(BETTER), *calls(FIRST)), f"was not answered by {FIRST} first"),
        (stream(*calls(FIRST), *calls(OTHER), *GOOD), "a build that nobody released"),
        (stream(), "was not answered by"),
        (stream(*GOOD, completed=False), "did not complete"),
        (stream(*GOOD, same_execution=False), "was restarted"),
        (stream(*GOOD, failures=("activity_task_failed",)), "failed: activity_task_failed"),
        (stream(*calls(FIRST), *calls(BETTER, speaker="carlos"), *calls(FIRST)), "did not hear bruno"),
        (stream(*calls(FIRST, speaker="bruno"), *GOOD), "heard bruno in bruno-volume.wav before"),
    ],
)
def test_what_did_not_happen_fails_the_demo(seen: StreamSeen, what: str) -> None:
    with pytest.raises(DemoFailed) as failure:
        check([stream(*GOOD), seen], FIRST, BETTER)
    assert what in failure.value.what


def test_one_build_twice_is_no_change() -> None:
    with pytest.raises(DemoFailed, match="both releases are one build"):
        check([stream(*calls(FIRST))], FIRST, FIRST)


def test_no_workflow_is_no_proof() -> None:
    with pytest.raises(DemoFailed, match="no workflow ran"):
        check([], FIRST, BETTER)


def test_the_table_shows_builds_and_answers_in_80_columns() -> None:
    seen = stream(*GOOD)
    assert sequence(seen) == f"{FIRST} {TIMES}3 → {BETTER} {TIMES}2 → {FIRST} {TIMES}1"
    text = table(DemoResult(first_build=FIRST, better_build=BETTER, streams=(seen,)))
    cells = [line.split() for line in text.splitlines()[2:]]
    assert cells == [
        [seen.workflow_id, FIRST, "3", "carlos"],
        [BETTER, "2", "bruno"],
        [FIRST, "1", "carlos"],
    ]
    assert max(map(len, text.splitlines())) <= 80
