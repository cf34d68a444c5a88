"""`[tool.conduit]` in a research repo's `pyproject.toml`.

Everything has a default but the algorithm's name. `docs/tool-conduit.schema.json` is made from these models.
"""

import difflib
import functools
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from pydantic import (
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from pipeline.errors import ConduitError, InvalidAlgorithmName, InvalidValue, NotConfigured, UnknownKey
from pipeline.models import AlgorithmName
from pipeline.options.docker import DockerOptions
from pipeline.options.gates import GateOptions
from pipeline.options.image import ImageOptions
from pipeline.options.names import Hook, Module
from pipeline.options.release import ReleaseOptions
from pipeline.options.table import Duration, Table

ROOT = "tool.conduit"
UNKNOWN = "extra_forbidden"
WORDS = {
    "tuple_type": "It should be a list, in square brackets.",
    "model_type": "It should be a table.",
}
"""What TOML calls something else than Python does."""
Argument = Annotated[str, StringConstraints(min_length=1)]


class Config(Table):
    """The table `[tool.conduit]`."""

    model_config = ConfigDict(title="[tool.conduit]")

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
    runtime: Literal["process", "docker"] = Field(default="process", description="Where the workers run.")
    placeholder: StrictBool = Field(
        default=False,
        description="The repo only stands in for the algorithm: its builds' IDs begin with placeholder-.",
    )
    replicas: StrictInt = Field(default=1, ge=1, le=1000, description="Workers of each build.")
    test: tuple[Argument, ...] = Field(
        default=("python", "-m", "pytest"),
        description="Command that runs the repo's own tests; an empty list runs none.",
    )
    start_timeout: Duration = Field(
        default=timedelta(minutes=5),
        gt=timedelta(0),
        description="What a worker gets to import, set up and register.",
    )
    grace: Duration = Field(
        default=timedelta(seconds=30), description="What running activities get when their worker stops."
    )
    max_concurrent_activities: StrictInt = Field(
        default=100, ge=1, description="Calls that one worker runs at once."
    )
    codec: Hook | None = Field(
        default=None,
        description="`module:name` of the PayloadCodec that callers encode their payloads with.",
    )
    own_queue: StrictBool = Field(
        default=False,
        description="Whether each worker process also takes calls from a task queue of its own, for state in memory.",
    )
    own_heartbeats: StrictBool = Field(
        default=False,
        description="Whether an activity that heartbeats is left to do so alone, and its silence ends the attempt; "
        "else its worker heartbeats for it too.",
    )
    checkpoint_store: Argument | None = Field(
        default=None,
        description="Where checkpoints are kept that are too large for a heartbeat, such as s3://bucket/folder; "
        "the workers' variable CHECKPOINT_STORE overrides it.",
    )
    image: ImageOptions = Field(default=ImageOptions(), description="Of the runtime docker.")
    docker: DockerOptions = Field(default=DockerOptions(), description="Of the runtime docker.")
    release: ReleaseOptions = Field(
        default=ReleaseOptions(), description="How a build is let at production calls."
    )
    gates: GateOptions = Field(
        default=GateOptions(), description="What a build has to pass before any production call."
    )

    @property
    def batch_slots(self) -> int:
        """How many calls of the batch queue one worker runs at once; none without `offline-first`."""
        first = self.release.offline_first
        return first.of(self.max_concurrent_activities) if first else 0

    @field_validator("checkpoint_store")
    @classmethod
    def _holds_no_password(cls, address: str | None) -> str | None:
        if address and "@" in urlsplit(address).netloc:
            raise ValueError(
                "it is written into images and records: leave user and password to the workers' CHECKPOINT_STORE"
            )
        return address

    @field_validator("release")
    @classmethod
    def _has_room_for_both(cls, release: ReleaseOptions, others: ValidationInfo) -> ReleaseOptions:
        if release.offline_first and others.data.get("max_concurrent_activities") == 1:
            raise ValueError("offline-first needs max-concurrent-activities of 2 or more, one for each queue")
        return release


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
        # A key that is misspelt is missing too; its spelling is the better explanation.
        raise _explain(min(error.errors(), key=lambda detail: detail["type"] != UNKNOWN)) from None


def _explain(detail: ErrorDetails) -> ConduitError:
    place = _place(detail["loc"])
    if detail["type"] == UNKNOWN:
        return UnknownKey(
            f"{place.name} has no key {place.key!r}.", why=_nearest(place), now="Correct or remove it."
        )
    if detail["type"] == "missing":
        return InvalidValue(
            f"{place.name} lacks the key {place.key!r}.", now=f'Add it to pyproject.toml: {place.key} = "…"'
        )
    why = WORDS.get(detail["type"]) or detail["msg"].removeprefix("Value error, ") + "."
    if detail["loc"] == ("algorithm",):
        return InvalidAlgorithmName(
            "The algorithm's name cannot be used.", why=why, now="Change `algorithm` in [tool.conduit]."
        )
    return InvalidValue(
        f"{place.name} has a value for {place.key!r} that cannot be used.",
        why=why,
        now="Correct it in pyproject.toml.",
    )


class _Place(NamedTuple):
    """A key in one of the tables."""

    table: type[Table]
    path: str
    key: str

    @property
    def name(self) -> str:
        return f"[{self.path}]"

    def below(self, part: int | str) -> "_Place":
        """One step of an error's location further; the types that pydantic tried are passed over."""
        inner = _tables(self.table).get(self.key.partition("[")[0])
        if isinstance(part, int):
            return self._replace(key=f"{self.key}[{part}]")
        if inner is not None:
            return _Place(inner, f"{self.path}.{self.key}", part)
        return self if self.key else self._replace(key=part)


def _place(location: tuple[int | str, ...]) -> _Place:
    return functools.reduce(_Place.below, location, _Place(Config, ROOT, ""))


def _nearest(place: _Place) -> str:
    near = difflib.get_close_matches(place.key, _keys(place.table), n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    elsewhere = [path for path, table in _every_table(ROOT, Config) if place.key in _keys(table)]
    if elsewhere:
        return f"It is a key of [{elsewhere[0]}]."
    return f"The keys are: {', '.join(sorted(_keys(place.table)))}."


def _keys(table: type[Table]) -> list[str]:
    return [field.alias or name for name, field in table.model_fields.items()]


def _tables(table: type[Table]) -> dict[str, type[Table]]:
    """The keys whose values are tables, or lists of them."""
    found = {field.alias or name: _table_in(field.annotation) for name, field in table.model_fields.items()}
    return {key: inner for key, inner in found.items() if inner is not None}


def _table_in(annotation: Any) -> type[Table] | None:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    return next(filter(None, map(_table_in, get_args(annotation))), None)


def _every_table(path: str, table: type[Table]) -> Iterator[tuple[str, type[Table]]]:
    yield path, table
    for key, inner in _tables(table).items():
        yield from _every_table(f"{path}.{key}", inner)


def json_schema() -> dict[str, Any]:
    """The table's JSON Schema, for editors."""
    return Config.model_json_schema(by_alias=True)
