"""`[tool.conduit]` in a research repo's `pyproject.toml`.

Everything has a default but the algorithm's name. `docs/tool-conduit.schema.json` is made from these models.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from pipeline.errors import ConduitError, InvalidAlgorithmName, InvalidValue, NotConfigured, UnknownKey
from pipeline.models import AlgorithmName

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


def dotted_name(name: str) -> str:
    """Return `name` if it is a module's dotted name."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"{name[:80]!r} is not a module's name, such as speaker_id.activities")
    return name


def hook_name(name: str) -> str:
    """Return `name` if it has the form `module:function`."""
    module, colon, function = name.partition(":")
    if not colon or not function.isidentifier():
        raise ValueError(f"{name[:80]!r} is not of the form module:function, such as speaker_id.model:load")
    dotted_name(module)
    return name


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION.pattern}$", "examples": ["90s", "2m", "1h"]}),
]
Module = Annotated[str, AfterValidator(dotted_name)]
Hook = Annotated[str, AfterValidator(hook_name)]
Argument = Annotated[str, StringConstraints(min_length=1)]


class Config(BaseModel):
    """The table `[tool.conduit]`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        title="[tool.conduit]",
        alias_generator=AliasGenerator(alias=lambda name: name.replace("_", "-")),
    )

    algorithm: AlgorithmName = Field(
        description="Name of the Worker Deployment and of its task queue.",
        json_schema_extra={"pattern": "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"},
    )
    activities: tuple[Module, ...] = Field(
        default=(), description="Modules that hold @activity.defn functions. Default: all that have one."
    )
    setup: Hook | None = Field(
        default=None, description="`module:function`, called once before the worker takes calls."
    )
    runtime: Literal["process"] = Field(default="process", description="Where the workers run.")
    replicas: int = Field(default=1, ge=1, le=1000, description="Workers of each build.")
    test: tuple[Argument, ...] = Field(
        default=("python", "-m", "pytest"),
        description="Command that runs the repo's own tests; an empty list runs none.",
    )
    start_timeout: Duration = Field(
        default=timedelta(minutes=5), description="What a worker gets to import, set up and register."
    )
    grace: Duration = Field(
        default=timedelta(seconds=30), description="What running activities get when their worker stops."
    )
    max_concurrent_activities: int = Field(
        default=100, ge=1, description="Calls that one worker runs at once."
    )


def parse(pyproject: str) -> Config:
    """Read `[tool.conduit]` out of the text of a `pyproject.toml`.

    Raises:
        NotConfigured: it is not TOML, or has no such table.
        UnknownKey, InvalidValue, InvalidAlgorithmName: the table says something that it cannot say.
    """
    try:
        tool = tomllib.loads(pyproject).get("tool")
    except tomllib.TOMLDecodeError as error:
        raise NotConfigured(
            "pyproject.toml cannot be read.", why=str(error), now="Mend the TOML at that line."
        ) from None
    table = tool.get("conduit") if isinstance(tool, Mapping) else None
    if not isinstance(table, Mapping):
        raise NotConfigured(
            "pyproject.toml has no [tool.conduit] table.",
            why="The conduit needs to know the algorithm's name.",
            now='Add these two lines to pyproject.toml:\n\n[tool.conduit]\nalgorithm = "my-algorithm"',
        )
    try:
        return Config.model_validate(dict(table))
    except ValidationError as error:
        raise _explain(error.errors()[0]) from None


def _explain(detail: ErrorDetails) -> ConduitError:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return UnknownKey(
            f"[tool.conduit] has no key {key!r}.", why=_nearest(key), now="Correct or remove it."
        )
    if detail["type"] == "missing":
        return InvalidValue(
            f"[tool.conduit] lacks the key {key!r}.", now=f'Add it to pyproject.toml: {key} = "…"'
        )
    why = detail["msg"].removeprefix("Value error, ") + "."
    if key == "algorithm":
        return InvalidAlgorithmName(
            "The algorithm's name cannot be used.", why=why, now="Change `algorithm` in [tool.conduit]."
        )
    return InvalidValue(
        f"[tool.conduit] has a value for {key!r} that cannot be used.",
        why=why,
        now="Correct it in pyproject.toml.",
    )


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, list(_keys()), n=1)
    return f"Did you mean {near[0]!r}?" if near else f"The keys are: {', '.join(sorted(_keys()))}."


def _keys() -> Iterator[str]:
    for name, field in Config.model_fields.items():
        yield field.alias or name


def json_schema() -> dict[str, Any]:
    """The table's JSON Schema, for editors."""
    return Config.model_json_schema(by_alias=True)
