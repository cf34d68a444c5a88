"""Five activities with every kind of type that a contract can hold, as a research repo would have them."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from temporalio import activity

from pipeline.worker.contract import ActivityContract, Contract

T = TypeVar("T")


class Level(Enum):
    QUIET = "quiet"
    LOUD = "loud"


@dataclass
class Segment:
    start: float
    end: float | None = None
    tags: list[str] = field(default_factory=lambda: ["heard"])


class Speech(BaseModel):
    kind: Literal["speech"] = "speech"
    speaker: str


class Music(BaseModel):
    kind: Literal["music"]
    bpm: int | None = None


class Page(BaseModel, Generic[T]):
    items: list[T]
    following: str | None = None


class Clip(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    wav: bytes
    level: Level = Level.QUIET
    segments: list[Segment] = []


class Moment(BaseModel):
    """When something was heard."""

    at: datetime
    day: date
    clock: time
    lasted: timedelta
    id: UUID
    price: Decimal


class Tree(BaseModel):
    label: str
    children: list["Tree"] = []


class Everything(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    text: bytes
    moment: Moment
    sound: Annotated[Speech | Music, Field(discriminator="kind")]
    pages: Page[Segment]
    counts: dict[Level, int]
    pair: tuple[int, str]
    marks: set[int]
    tree: Tree
    choice: Literal["a", 1, None]
    either: int | str | list[float]
    whatever: Any
    secret: Annotated[str, Field(json_schema_extra={"format": "password"})]
    quality: Annotated[float, Field(ge=0, le=1)] = 0.5
    class_: Annotated[str | None, Field(alias="class")] = None
    odd: Annotated[int, Field(alias="an odd name")] = 3


@activity.defn
async def identify_speaker(clip: Clip) -> Speech:
    """Tell who speaks."""
    return Speech(speaker=clip.wav.hex())


@activity.defn(name="split.Audio-v2")
async def split(clip: Clip) -> Page[Segment]:
    return Page(items=clip.segments)


@activity.defn
async def echo(everything: Everything) -> Everything:
    return everything


@activity.defn
async def count(clips: list[Clip]) -> int:
    return len(clips)


@activity.defn
async def choose(level: Level) -> Annotated[Speech | Music, Field(discriminator="kind")] | None:
    return None if level is Level.QUIET else Music(kind="music", bpm=3)


ACTIVITIES = (identify_speaker, split, echo, count, choose)
TYPES: dict[str, tuple[Any, Any]] = {
    "identify_speaker": (Clip, Speech),
    "split.Audio-v2": (Clip, Page[Segment]),
    "echo": (Everything, Everything),
    "count": (list[Clip], int),
    "choose": (Level, Annotated[Speech | Music, Field(discriminator="kind")] | None),
}


def contract() -> Contract:
    """The contract of these activities, as the worker host makes it."""
    return Contract(
        activities=tuple(
            ActivityContract(
                name=name,
                doc="Tell who speaks." if name == "identify_speaker" else "",
                input=TypeAdapter(taken).json_schema(mode="validation"),
                output=TypeAdapter(given).json_schema(mode="serialization"),
            )
            for name, (taken, given) in sorted(TYPES.items())
        )
    )
