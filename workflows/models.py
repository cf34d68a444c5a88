"""What goes into and out of the workflows and the activity. Only its JSON is shared with research."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

ALGORITHM_QUEUE = "speaker-id"
"""The algorithm's task queue, and the name of its Worker Deployment."""

# Temporal refuses a payload above 2 MB, and base64 makes three bytes four.
MAX_WAV_BYTES = 1_000_000
MAX_WAITING_CLIPS = 1_000
# What is carried from run to run, and shown, must not grow with the stream.
MAX_SPEAKERS = 50
MAX_SPEAKER_NAME = 64

TaskQueue = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Value(BaseModel):
    """A frozen model. Fields that it does not know are ignored, so that an algorithm may add some."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")


class AudioClip(Value):
    """One clip of speech: a whole WAV file, base64 in JSON."""

    wav: bytes = Field(min_length=1, max_length=MAX_WAV_BYTES, repr=False)


class SpeakerID(Value):
    """Who speaks in a clip.

    It has no limits on purpose: a result that this model refused would stand in the workflow's history
    already, where no roll-back of the algorithm could take it out again.
    """

    speaker: str
    confidence: float


class IdentificationRequest(Value):
    """One clip to identify."""

    clip: AudioClip
    task_queue: TaskQueue = ALGORITHM_QUEUE


class StreamProgress(Value):
    """What a stream has come to. Its size is bounded, however long the stream lasts."""

    identified: int = 0
    refused: int = Field(default=0, description="clips that the algorithm said it can never identify")
    waiting: int = Field(default=0, description="clips that are not identified yet")
    speakers: dict[str, int] = Field(default_factory=dict, description="clips by speaker")
    other_speakers: int = Field(default=0, description="clips of those after the first 50")
    last: SpeakerID | None = None

    @property
    def calls(self) -> int:
        """The number of clips that were dealt with."""
        return self.identified + self.refused

    def counted(self, answer: SpeakerID) -> Self:
        """The progress after one more answer."""
        name = answer.speaker[:MAX_SPEAKER_NAME]
        known = name in self.speakers or len(self.speakers) < MAX_SPEAKERS
        return self.model_copy(
            update={
                "identified": self.identified + 1,
                "speakers": self.speakers | ({name: self.speakers.get(name, 0) + 1} if known else {}),
                "other_speakers": self.other_speakers + (not known),
                "last": SpeakerID(speaker=name, confidence=answer.confidence),
            }
        )


class SpeakerStream(Value):
    """A stream of clips: the input of one run of its workflow, and its whole state.

    A run hands this to the next one, so it is bounded: at most 1,000 clips wait, of 1 MB together.
    """

    clips: tuple[AudioClip, ...] = Field(
        default=(), max_length=MAX_WAITING_CLIPS, description="to identify next"
    )
    interval: float = Field(default=0, ge=0, description="seconds from an answer to the next call")
    repeat: bool = Field(default=False, description="put each clip back at the end of those that wait")
    open: bool = Field(default=True, description="wait for more clips when there are none")
    until: int | None = Field(default=None, ge=1, description="end after so many clips")
    calls_per_run: int | None = Field(
        default=None, ge=1, description="continue as new after so many calls, even if the server sees no need"
    )
    task_queue: TaskQueue = ALGORITHM_QUEUE
    progress: StreamProgress = StreamProgress()

    @model_validator(mode="after")
    def _clips_fit_in_a_payload(self) -> Self:
        if self.waiting_bytes > MAX_WAV_BYTES:
            raise ValueError(f"the clips have {self.waiting_bytes} bytes together, more than {MAX_WAV_BYTES}")
        return self

    @property
    def waiting_bytes(self) -> int:
        """The size of the clips that wait, in bytes of WAV."""
        return sum(len(clip.wav) for clip in self.clips)

    @property
    def done(self) -> bool:
        """Whether no call will be made any more."""
        reached = self.until is not None and self.progress.calls >= self.until
        return reached or not (self.open or self.clips)

    def has_room_for(self, clip: AudioClip) -> bool:
        """Whether one more clip may wait."""
        fits = self.waiting_bytes + len(clip.wav) <= MAX_WAV_BYTES
        return fits and len(self.clips) < MAX_WAITING_CLIPS

    def with_clip(self, clip: AudioClip) -> Self:
        """The stream after a clip was added."""
        return self.model_copy(update={"clips": (*self.clips, clip)})

    def after(self, answer: SpeakerID | None) -> Self:
        """The stream after its first clip was identified, or refused where there is no answer."""
        first, *rest = self.clips
        if answer is None:
            progress = self.progress.model_copy(update={"refused": self.progress.refused + 1})
        else:
            progress = self.progress.counted(answer)
        clips = (*rest, first) if self.repeat else tuple(rest)
        return self.model_copy(update={"clips": clips, "progress": progress})

    def closed(self) -> Self:
        """The stream that takes no more clips: each that waits is identified once, without a pause."""
        return self.model_copy(update={"open": False, "repeat": False, "interval": 0})

    def report(self) -> StreamProgress:
        """The progress, with what still waits."""
        return self.progress.model_copy(update={"waiting": len(self.clips)})


class ArchivedClip(Value):
    """A clip of the archive."""

    name: str = Field(description="its place in the archive, such as `acme/monday.wav`")
    customer: str
    clip: AudioClip


class PageRequest(Value):
    """The next clips of the archive."""

    after: str = Field(default="", description="name of the last clip that was dealt with")
    most: int = Field(ge=1, description="clips in a page; there are fewer where they are large")


class ArchivePage(Value):
    """Some clips of the archive in the order of their names, of 1 MB together."""

    clips: tuple[ArchivedClip, ...] = ()
    unusable: int = Field(default=0, description="clips among them that no call could carry")
    upto: str = Field(default="", description="name of the last clip looked at; empty at the archive's end")


class ArchivedAnswer(Value):
    """What the algorithm said of a clip; null where it refused it for good."""

    name: str
    answer: SpeakerID | None


class Answers(Value):
    """Answers to keep beside their clips."""

    answers: tuple[ArchivedAnswer, ...]


class BackfillProgress(Value):
    """What a backfill has come to, over all its runs."""

    clips: int = Field(default=0, description="in the archive, as counted when the backfill began")
    identified: int = 0
    refused: int = Field(default=0, description="by the algorithm, for good")
    unusable: int = Field(default=0, description="clips that are empty or larger than a call can carry")

    @property
    def done(self) -> int:
        """The number of clips that were dealt with."""
        return self.identified + self.refused + self.unusable


class Backfill(Value):
    """An archive to run through the algorithm: the input of one run of its workflow, and its whole state."""

    batch: int = Field(default=20, ge=1, le=500, description="calls under way at most")
    priority: int = Field(default=5, ge=1, le=5, description="1 is first; calls that say nothing have 3")
    batches_per_run: int | None = Field(
        default=None, ge=1, description="continue as new after so many, even if the server sees no need"
    )
    task_queue: TaskQueue = ALGORITHM_QUEUE
    after: str = Field(default="", description="begin behind the clip of this name")
    progress: BackfillProgress | None = None

    def behind(self, page: ArchivePage, answers: Answers) -> Self:
        """The backfill after a page was dealt with."""
        progress = self.progress or BackfillProgress()
        identified = sum(answer.answer is not None for answer in answers.answers)
        counted = {
            "identified": progress.identified + identified,
            "refused": progress.refused + len(answers.answers) - identified,
            "unusable": progress.unusable + page.unusable,
        }
        return self.model_copy(update={"after": page.upto, "progress": progress.model_copy(update=counted)})
