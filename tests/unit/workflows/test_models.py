import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError

import workflows
from workflows.models import (
    MAX_SPEAKER_NAME,
    MAX_SPEAKERS,
    MAX_WAITING_CLIPS,
    MAX_WAV_BYTES,
    AudioClip,
    SpeakerID,
    SpeakerStream,
    StreamProgress,
)

ONE, TWO, THREE = (AudioClip(wav=wav) for wav in (b"one", b"two", b"three"))
ANNA = SpeakerID(speaker="anna", confidence=0.9)
TEMPLATE = Path(workflows.__file__).parents[1] / "activity_template/template/src/{{ package }}/models.py"


@pytest.fixture(scope="module")
def research() -> ModuleType:
    """The models of the research repo that `conduit new` makes."""
    spec = importlib.util.spec_from_file_location("research_models", TEMPLATE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_research_reads_our_clip_as_it_was(research: ModuleType) -> None:
    every_byte = bytes(range(256))

    read = research.AudioClip.model_validate_json(AudioClip(wav=every_byte).model_dump_json())

    assert read.wav == every_byte


def test_we_read_the_answer_of_research(research: ModuleType) -> None:
    answer = research.SpeakerID(speaker="anna", confidence=0.9)

    assert SpeakerID.model_validate_json(answer.model_dump_json()) == ANNA


def test_research_takes_every_size_of_clip_that_we_send(research: ModuleType) -> None:
    for size in (1, MAX_WAV_BYTES):
        research.AudioClip.model_validate_json(AudioClip(wav=bytes(size)).model_dump_json())


def test_fields_that_an_algorithm_adds_to_its_answer_are_ignored() -> None:
    answer = SpeakerID.model_validate({"speaker": "anna", "confidence": 0.9, "model": "2"})

    assert answer == ANNA


@pytest.mark.parametrize("size", [0, MAX_WAV_BYTES + 1])
def test_a_clip_that_is_empty_or_too_large_is_refused_where_it_is_made(size: int) -> None:
    with pytest.raises(ValidationError):
        AudioClip(wav=bytes(size))


def test_the_first_clip_leaves_the_stream() -> None:
    stream = SpeakerStream(clips=(ONE, TWO)).after(ANNA)

    assert stream.clips == (TWO,)
    assert stream.progress.speakers == {"anna": 1}


def test_in_a_repeated_stream_it_goes_to_the_end() -> None:
    assert SpeakerStream(clips=(ONE, TWO, THREE), repeat=True).after(ANNA).clips == (TWO, THREE, ONE)


def test_a_refused_clip_is_counted_and_not_identified() -> None:
    progress = SpeakerStream(clips=(ONE,)).after(None).progress

    assert (progress.refused, progress.identified, progress.calls) == (1, 0, 1)


@pytest.mark.parametrize(
    ("stream", "done"),
    [
        (SpeakerStream(), False),
        (SpeakerStream(open=False), True),
        (SpeakerStream(clips=(ONE,), open=False), False),
        (SpeakerStream(clips=(ONE,), until=2, progress=StreamProgress(identified=1)), False),
        (SpeakerStream(clips=(ONE,), until=2, progress=StreamProgress(identified=1, refused=1)), True),
        (SpeakerStream(clips=(ONE,), repeat=True, interval=60).closed(), False),
        (SpeakerStream(clips=(ONE,), repeat=True, interval=60).closed().after(ANNA), True),
    ],
)
def test_a_stream_is_done_when_no_call_will_be_made_any_more(stream: SpeakerStream, done: bool) -> None:
    assert stream.done is done


def test_clips_may_wait_up_to_the_size_of_a_payload() -> None:
    half = AudioClip(wav=bytes(MAX_WAV_BYTES // 2))
    stream = SpeakerStream(clips=(half,))

    assert stream.has_room_for(half)
    assert not stream.with_clip(half).has_room_for(ONE)


def test_clips_may_wait_up_to_a_number() -> None:
    stream = SpeakerStream(clips=(ONE,) * (MAX_WAITING_CLIPS - 1))

    assert stream.has_room_for(ONE)
    assert not stream.with_clip(ONE).has_room_for(ONE)


def test_a_stream_that_would_not_fit_in_a_payload_is_refused_where_it_is_made() -> None:
    half = AudioClip(wav=bytes(MAX_WAV_BYTES // 2))

    with pytest.raises(ValidationError, match="1000003 bytes together"):
        SpeakerStream(clips=(half, half, ONE))


def test_the_progress_stays_small_whatever_the_algorithm_answers() -> None:
    progress = StreamProgress()
    for number in range(2 * MAX_SPEAKERS):
        progress = progress.counted(SpeakerID(speaker=f"{number:03}" + 1_000_000 * "x", confidence=1))
    progress = progress.counted(SpeakerID(speaker="000" + 1_000_000 * "x", confidence=1))

    assert progress.identified == 2 * MAX_SPEAKERS + 1
    assert progress.other_speakers == MAX_SPEAKERS
    assert max(progress.speakers.values()) == 2
    assert len(json.dumps(progress.model_dump())) < 2 * MAX_SPEAKERS * MAX_SPEAKER_NAME


def test_a_report_says_what_waits() -> None:
    assert SpeakerStream(clips=(ONE, TWO)).report().waiting == 2
