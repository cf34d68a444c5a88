"""The two files of a backfill, and what is read of histories and payloads."""

import base64
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload

from pipeline.backfill import files
from pipeline.backfill.histories import build_of
from pipeline.backfill.messages import Answered, Header, Recalled, Recomputed, equal, json_of
from pipeline.commands.backfill import room
from pipeline.errors import OutputUnusable

HEADER = Header(algorithm="speaker-id", build_id="6459068e2c62-9814c4")


def call(number: int) -> Answered:
    return Answered(
        workflow_id=f"w{number}", run_id="r", workflow_type="W", activity_id=str(number), activity="a\nb"
    )


def answer(number: int, why: str = "") -> Recomputed:
    return Recomputed(call=call(number), outcome="same", before=None, after={"speaker": "anna"}, why=why)


def test_a_plan_is_read_in_parts(tmp_path: Path) -> None:
    plan = files.plan_of(tmp_path / "again.jsonl")
    assert files.read_header(plan) is None
    files.write_plan(plan, HEADER, map(call, range(5)))
    assert files.read_header(plan) == HEADER
    assert files.count_planned(plan) == 5
    assert files.planned(plan, 3, 10) == (call(3), call(4))


def test_a_file_that_is_no_plan_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "x.plan"
    for notes in (b"somebody's notes\n", b"\xff\xfe\n"):
        file.write_bytes(notes)
        with pytest.raises(OutputUnusable):
            files.read_header(file)
        assert file.read_bytes() == notes


def test_lines_that_are_written_again_or_were_cut_off_stand_once(tmp_path: Path) -> None:
    output = tmp_path / "again.jsonl"
    files.append(output, 0, [answer(0), answer(1)])
    with output.open("a") as file:
        file.write('{"call": {"workflow')
    assert files.count_done(output) == 2
    files.append(output, 1, [answer(1, "again"), answer(2)])
    read = [Recomputed.model_validate_json(line) for line in output.read_text().splitlines()]
    assert read == [answer(0), answer(1, "again"), answer(2)]


def test_a_payload_crosses_as_it_is() -> None:
    raw = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"\xff\x00").SerializeToString()
    recalled = Recalled(
        call=call(1), input=raw, output=None, fairness_key="", start_to_close=None, heartbeat=None
    )
    assert Recalled.model_validate_json(recalled.model_dump_json()) == recalled
    assert json_of(raw) == {"encoding": "binary/encrypted", "data": "/wA="}
    assert json_of(Payload(metadata={"encoding": b"json/plain"}, data=b'{"a": 1}').SerializeToString()) == {
        "a": 1
    }


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 100_000])
def test_a_payload_that_is_not_json_as_it_says_is_shown_as_it_is(data: bytes) -> None:
    shown = json_of(Payload(metadata={"encoding": b"json/plain"}, data=data).SerializeToString())
    assert shown == {"encoding": "json/plain", "data": base64.b64encode(data).decode()}


def test_answers_that_are_not_a_number_are_the_same() -> None:
    before, after = (
        json_of(Payload(metadata={"encoding": b"json/plain"}, data=b'{"score": NaN}').SerializeToString())
        for _ in range(2)
    )
    assert equal(before, after)
    assert equal({"a": 1}, {"a": 1.0})
    assert not equal({"a": 1}, {"a": 2})


@pytest.mark.parametrize(
    ("identity", "build"),
    [
        ("speaker-id/6459068e2c62-9814c4@host:12", "6459068e2c62-9814c4"),
        ("speaker-id-2/6459068e2c62-9814c4@host:12", ""),
        ("12@host", ""),
        ("", ""),
    ],
)
def test_the_build_is_in_its_workers_identity(identity: str, build: str) -> None:
    assert build_of(identity, "speaker-id") == build


def test_outcomes_are_counted_without_the_line_that_was_cut_off(tmp_path: Path) -> None:
    output = tmp_path / "again.jsonl"
    assert not files.outcomes(output)
    files.append(output, 0, [answer(0), answer(1)])
    with output.open("a") as file:
        file.write('{"call": {"workflow')
    assert files.outcomes(output) == {"same": 2}


@pytest.mark.parametrize("content", [b"{}\n", b"notes\n", b"\xff\xfe\n"])
def test_an_output_or_plan_that_somebody_changed_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "again.jsonl"
    file.write_bytes(content * 2)
    with pytest.raises(OutputUnusable):
        files.outcomes(file)
    with pytest.raises(OutputUnusable):
        files.planned(file, 0, 1)


def test_a_plan_or_output_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputUnusable):
        files.planned(tmp_path, 0, 1)
    with pytest.raises(OutputUnusable):
        files.append(tmp_path, 0, [answer(0)])


@pytest.mark.parametrize(
    ("slots", "shared", "most"),
    [
        (100, True, 80),
        (20, True, 16),
        (2, True, 1),
        (1, True, 1),
        (0, True, 1),
        (20, False, 20),
        (0, False, 1),
    ],
)
def test_a_backfill_keeps_a_slot_free_where_it_shares_the_queue(slots: int, shared: bool, most: int) -> None:
    assert room(slots, shared=shared) == most
