"""A checkpoint as a research repo's own tests use it: in Temporal's test environment, without a host."""

import dataclasses
import math
import traceback
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio import activity
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from pipeline.worker.checkpoint import Checkpoint, Saved, in_full, why_unreadable
from pipeline.worker.failures import HostFailure
from pipeline.worker.store import FileStore, file_of

AT_ONCE = timedelta(0)


class First(BaseModel):
    clips: int = 0


class Second(BaseModel):
    clips: int = 0
    seconds: float = 0.0


class Third(BaseModel):
    heard: int = 0
    seconds: float = 0.0


def from_plain(clips: int) -> First:
    return First(clips=clips)


def from_first(old: First) -> Second:
    return Second(clips=old.clips, seconds=2.0 * old.clips)


def from_second(old: Second) -> Third:
    return Third(heard=old.clips, seconds=old.seconds)


def new_name() -> str:
    return f"state-{uuid.uuid4()}"


def environment(*details: Any) -> tuple[ActivityEnvironment, list[Any]]:
    made = ActivityEnvironment()
    made.info = dataclasses.replace(made.info, heartbeat_details=details)
    beats: list[Any] = []
    made.on_heartbeat = lambda *sent: beats.append(sent[0])
    return made, beats


def third(name: str) -> Checkpoint[Third]:
    return Checkpoint(name, Third, migrations={0: from_plain, 1: from_first, 2: from_second}, every=AT_ONCE)


def test_what_is_saved_is_loaded_by_the_next_attempt() -> None:
    state = Checkpoint(new_name(), First, every=AT_ONCE)
    first, beats = environment()
    first.run(lambda: state.save(First(clips=state.load(First()).clips + 3)))
    second, _ = environment(beats[-1].model_dump(mode="json"))
    assert second.run(lambda: state.load(First())) == First(clips=3)


async def test_it_works_in_async_activities_too() -> None:
    state = Checkpoint(new_name(), First, every=AT_ONCE)
    made, beats = environment()

    async def work() -> None:
        state.save(First(clips=1))

    await made.run(work)
    assert beats == [Saved(name=state.name, version=1, state={"clips": 1})]


def test_state_of_every_earlier_version_is_migrated() -> None:
    name = new_name()
    state = third(name)
    for version, found in (
        (1, {"clips": 4}),
        (2, {"clips": 4, "seconds": 8}),
        (3, {"heard": 4, "seconds": 8}),
    ):
        made, _ = environment(Saved(name=name, version=version, state=found).model_dump(mode="json"))
        assert made.run(lambda: state.load(Third())) == Third(heard=4, seconds=8)


def test_what_was_heartbeated_before_there_was_a_checkpoint_is_version_0() -> None:
    made, _ = environment(4)
    assert made.run(lambda: third(new_name()).load(Third())) == Third(heard=4, seconds=8)
    assert made.run(lambda: Checkpoint(new_name(), First).load(First(clips=-1))) == First(clips=-1)


def test_what_was_heartbeated_before_there_was_a_checkpoint_can_be_saved_and_found_again() -> None:
    name = new_name()
    made, beats = environment(4)
    state = third(name)
    made.run(lambda: state.save(state.load(Third()).model_copy(update={"heard": 5})))
    again, _ = environment(beats[-1].model_dump(mode="json"))
    assert again.run(lambda: state.load(Third())) == Third(heard=5, seconds=8)


def test_a_roll_back_over_two_versions_goes_on_from_the_state_that_its_build_left() -> None:
    name = new_name()
    first = Saved(name=name, version=1, state={"clips": 4})
    second = Saved(name=name, version=2, state={"clips": 5, "seconds": 8}, before=first)
    third = Saved(name=name, version=3, state={"heard": 6, "seconds": 8}, before=second)
    made, _ = environment(third.model_dump(mode="json"))
    assert made.run(lambda: Checkpoint(name, First).load(First())) == First(clips=4)


def test_numbers_that_json_has_no_word_for_are_found_again(tmp_path: Path) -> None:
    class Training(BaseModel):
        best_loss: float = math.inf
        loss: float = math.nan

    state = Checkpoint(new_name(), Training, every=AT_ONCE)
    made, beats = environment()
    made.run(lambda: state.save(Training()))
    sent = PydanticPayloadConverter().to_payload(beats[-1])
    again, _ = environment(PydanticPayloadConverter().from_payload(sent))
    found = again.run(lambda: state.load(Training(best_loss=0, loss=0)))
    assert found.best_loss == math.inf
    assert math.isnan(found.loss)


def test_migrated_state_takes_along_what_it_was_made_of() -> None:
    name = new_name()
    old = Saved(name=name, version=1, state={"clips": 4})
    made, beats = environment(old.model_dump(mode="json"))
    state = Checkpoint(name, Second, migrations={1: from_first}, every=AT_ONCE)

    def work() -> None:
        state.load(Second())
        state.save(Second(clips=9, seconds=18))

    made.run(work)
    assert beats[-1].before == old


def test_state_of_a_later_version_is_not_read_but_what_it_was_made_of() -> None:
    name = new_name()
    state = Checkpoint(name, First)
    later = Saved(name=name, version=2, state={"clips": 9, "seconds": 1.5})
    made, _ = environment(later.model_dump(mode="json"))
    with pytest.raises(
        ApplicationError, match="version 2 cannot be read: this build reads versions 1 to 1"
    ) as failure:
        made.run(lambda: state.load(First()))
    assert failure.value.type == "UnreadableState"
    assert not failure.value.non_retryable
    with_former = later.model_copy(update={"before": Saved(name=name, version=1, state={"clips": 4})})
    made, _ = environment(with_former.model_dump(mode="json"))
    assert made.run(lambda: state.load(First())) == First(clips=4)


def test_saves_in_quick_succession_are_sent_as_one() -> None:
    state = Checkpoint(new_name(), First, every=timedelta(hours=1))
    made, beats = environment()

    def work() -> None:
        for clips in range(5):
            state.save(First(clips=clips))

    made.run(work)
    assert [beat.state for beat in beats] == [{"clips": 0}]


def test_too_large_state_says_what_to_do() -> None:
    class Large(BaseModel):
        text: str

    state = Checkpoint(new_name(), Large)
    made, _ = environment()
    with pytest.raises(
        ApplicationError, match="Temporal takes 1,900,000: make it smaller, or set `checkpoint-store`"
    ):
        made.run(lambda: state.save(Large(text="x" * 2_000_000)))


def unannotated(old):  # type: ignore[no-untyped-def]
    return old


@pytest.mark.parametrize(
    ("declare", "why"),
    [
        (lambda: Checkpoint(new_name(), Third, migrations={1: from_first, 3: from_second}), "leave a gap"),
        (lambda: Checkpoint(new_name(), Second, migrations={1: unannotated}), "annotate its parameter"),
        (lambda: Checkpoint("", First), "at least 1 character"),
    ],
)
def test_a_wrong_declaration_is_found_when_the_module_is_imported(
    declare: Callable[[], object], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        declare()


def test_two_checkpoints_of_one_name_are_refused_and_one_imported_twice_is_not() -> None:
    name = new_name()
    Checkpoint(name, First)
    Checkpoint(name, First)
    with pytest.raises(ValueError, match="two checkpoints are named"):
        Checkpoint(name, Second)


def test_a_migration_that_gives_something_else_is_a_mistake() -> None:
    name = new_name()
    state = Checkpoint(name, Third, migrations={1: from_first})
    made, _ = environment(Saved(name=name, version=1, state={"clips": 1}).model_dump(mode="json"))
    with pytest.raises(TypeError, match=r"gives <class .*Second"):
        made.run(lambda: state.load(Third()))


def test_whether_a_build_reads_state_is_known_without_running_anything(tmp_path: Path) -> None:
    name = new_name()
    third(name)

    def why(saved: Saved) -> str:
        return why_unreadable([saved.model_dump(mode="json")], FileStore(str(tmp_path)))

    assert why(Saved(name=name, version=1, state={"clips": 4})) == ""
    assert "clips: Input should be a valid integer" in why(
        Saved(name=name, version=1, state={"clips": "many"})
    )
    assert "versions 0 to 3" in why(Saved(name=name, version=4, state={}))
    assert "no checkpoint of that name" in why(Saved(name=new_name(), version=1, state={}))
    assert "its file" in why(Saved(name=name, version=1, file="gone.json"))
    assert why_unreadable(["a heartbeat of the activity's own"], None) == ""
    assert why_unreadable([], None) == ""


def test_a_failing_migration_is_a_reason_and_no_crash() -> None:
    def failing(old: First) -> Second:
        raise ZeroDivisionError("no seconds")

    name = new_name()
    Checkpoint(name, Second, migrations={1: failing})
    found = Saved(name=name, version=1, state={"clips": 1}).model_dump(mode="json")
    why = why_unreadable([found], None)
    assert why == f"a migration of state {name!r} of version 1 raises ZeroDivisionError"


def test_a_file_is_named_by_the_call_and_stays_in_the_store() -> None:
    info = ActivityEnvironment.default_info()
    hostile = dataclasses.replace(info, workflow_id="../../etc/passwd", activity_id="..", attempt=3)
    folder, file = file_of(hostile).split("/")
    assert len(folder) == 64
    assert file == "3.json"
    assert file_of(hostile) != file_of(info)


def test_a_file_that_was_damaged_is_told_without_what_is_in_it(tmp_path: Path) -> None:
    name = new_name()
    (tmp_path / "1.json").write_text('{"state": "hunter2')
    saved = Saved(name=name, version=1, file="1.json")
    with pytest.raises(ApplicationError, match="is not what was written") as failure:
        in_full(saved, FileStore(str(tmp_path)))
    told = "".join(traceback.format_exception(failure.value))
    assert "hunter2" not in told
    assert failure.value.__cause__ is None  # Temporal would be sent it too


def test_the_password_in_an_address_is_told_to_nobody(tmp_path: Path) -> None:
    with pytest.raises(HostFailure, match=r"nowhere://bucket.*cannot be opened") as failure:
        FileStore("nowhere://user:hunter2@bucket")
    assert "hunter2" not in str(failure.value)
    away = FileStore(f"file://{tmp_path}")
    away._address = "sftp://user:hunter2@host/states"
    told = away._away(OSError("no route to sftp://user:hunter2@host"))
    assert "sftp://host/states does not answer" in told.message
    assert "hunter2" not in told.message


def test_an_attempt_replaces_its_own_file_alone(tmp_path: Path) -> None:
    store = FileStore(f"file://{tmp_path}/deep/store")
    info = activity_info(attempt=1)
    first = store.write(info, b"one")
    second = store.write(activity_info(attempt=2), b"two")
    assert store.write(info, b"one again") == first
    assert (store.read(None, first), store.read(None, second)) == (b"one again", b"two")
    assert not list(tmp_path.rglob("*.new"))
    with pytest.raises(FileNotFoundError):
        store.read(None, "nothing.json")


def test_an_address_that_no_file_system_has_is_told_before_any_call() -> None:
    with pytest.raises(HostFailure, match=r"nowhere://x.*cannot be opened.*add `fsspec`"):
        FileStore("nowhere://x")


def activity_info(attempt: int) -> activity.Info:
    return dataclasses.replace(ActivityEnvironment.default_info(), attempt=attempt)
