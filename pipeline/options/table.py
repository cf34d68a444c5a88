"""What all tables of the configuration have in common: kebab-case keys, durations, no unknown key."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import (
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(rf"([0-9]+(?:\.[0-9]+)?)({'|'.join(UNITS)})")


def parse_duration(text: object) -> object:
    """Turn `90s`, `2m` or `1h` into a timedelta; what it cannot read, it raises ValueError for."""
    if isinstance(text, timedelta):
        return text
    match = DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('a duration is a number and a unit in quotes: "500ms", "90s", "2m", "1h" or "1d"')
    try:
        return timedelta(seconds=float(match[1]) * UNITS[match[2]])
    except OverflowError:
        raise ValueError("no duration is that long") from None


def format_duration(duration: timedelta) -> str:
    """Write a duration as `parse_duration` reads it, in the largest unit that holds it without a fraction."""
    milliseconds = round(duration.total_seconds() * 1000)
    for unit, seconds in reversed(UNITS.items()):
        count, rest = divmod(milliseconds, round(seconds * 1000))
        if count and not rest:
            return f"{count}{unit}"
    return "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION.pattern}$", "examples": ["90s", "2m", "1h"]}),
]


class Table(BaseModel):
    """A frozen table of the configuration; its keys are the fields' names with hyphens, in JSON too."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,  # JSON, in which tables travel, has neither
        alias_generator=AliasGenerator(alias=lambda name: name.replace("_", "-")),
        serialize_by_alias=True,
    )
