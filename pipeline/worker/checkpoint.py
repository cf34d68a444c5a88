"""State that a running activity saves as it goes, and finds again when it continues, here or on another build.

    class Progress(BaseModel):
        clips: int = 0
        seconds: float = 0.0

    PROGRESS = Checkpoint("transcription", Progress, handover=True)

    @activity.defn
    def transcribe(archive: Archive) -> Summary:
        progress = PROGRESS.load(Progress())
        for clip in archive.clips[progress.clips :]:
            progress = Progress(clips=progress.clips + 1, seconds=progress.seconds + listen(clip))
            PROGRESS.save(progress)
        return Summary(seconds=progress.seconds)

State is versioned by its migrations. `migrations={1: from_first, 2: from_second}` makes the present version 3,
and each function takes the state of the version that it is listed under and gives that of the next one.
"""

import asyncio
import inspect
import json
import math
import threading
import time
import typing
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from pipeline.worker.probe import PROBE

State = TypeVar("State", bound=BaseModel)
Migration = Callable[[Any], BaseModel]

MOST_BYTES = 1_900_000
"""Temporal refuses a heartbeat above 2 MiB, and ends the call for good."""
MOST_INLINE = 100_000
"""Larger state goes to the file store, where there is one."""
BEAT_WITHIN = 10.0


class Saved(BaseModel):
    """State as it stands in a heartbeat, or in a file that a heartbeat names."""

    # An infinite loss is a state like any other: as null it could not be read again.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    conduit: Literal["checkpoint"] = "checkpoint"
    name: str = Field(min_length=1, max_length=200)
    version: int = Field(ge=0, description="0: of before there was a checkpoint")
    state: JsonValue = None
    file: str = Field(
        default="", max_length=500, description="where the state is, if it is in the file store"
    )
    before: "Saved | None" = Field(
        default=None, description="what the build found that migrated it: an older build goes on from there"
    )


class HandedOver(BaseException):
    """The activity's state is saved and the call goes on elsewhere. The host catches it; let it pass.

    Not an `Exception`: research code that goes on after any error must not go on after this.
    """


class Store(Protocol):
    """Where state is kept that is too large for a heartbeat."""

    def write(self, call: activity.Info, content: bytes) -> str:
        """Keep the state of a call's attempt, in place of what the attempt kept before; return its name."""
        ...

    def read(self, call: activity.Info | None, file: str) -> bytes:
        """What was kept under that name; `call` is the one that asks."""
        ...


class Host(Protocol):
    """What a call asks the host that runs it."""

    store: Store | None

    @property
    def wants_handover(self) -> bool:
        """Whether calls that can should go on elsewhere."""
        ...


class Call:
    """One attempt of an activity: its checkpoint, and what is saved but not sent yet."""

    def __init__(
        self, info: activity.Info, host: Host | None, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        """Begin an attempt.

        Args:
            info: of the activity.
            host: who runs it; None in a test environment.
            loop: the one that an `async def` activity runs on.
        """
        self.info = info
        self.checkpoint: Checkpoint[Any] | None = None
        self.before: Saved | None = None
        self._host = host
        self._loop = loop
        self._unsent: Saved | None = None
        self._sent = -math.inf
        self._lock = threading.Lock()

    @property
    def is_hosted(self) -> bool:
        """Whether the worker host runs it, and not a test."""
        return self._host is not None

    @property
    def store(self) -> Store | None:
        """The file store, if the host has one."""
        return self._host.store if self._host else None

    @property
    def can_move(self) -> bool:
        """Whether the caller allows another attempt. A trial is made on this build or not at all."""
        if self.info.workflow_type == PROBE:
            return False
        policy = self.info.retry_policy
        return policy is None or not policy.maximum_attempts or self.info.attempt < policy.maximum_attempts

    @property
    def hands_over(self) -> bool:
        """Whether this call can go on elsewhere from where it is."""
        return self.checkpoint is not None and self.checkpoint.handover and self.can_move

    @property
    def has_unsent(self) -> bool:
        """Whether something is saved and not sent yet."""
        return self._unsent is not None

    def keep(self, saved: Saved, every: float) -> None:
        """Take the latest state, and send it if the last one was sent long enough ago.

        Raises:
            HandedOver: it was sent, and this attempt ends here.
        """
        with self._lock:
            self._unsent = saved
        leaving = self._host is not None and self._host.wants_handover and self.hands_over
        if leaving or time.monotonic() - self._sent >= every:
            self.flush()
        if leaving:
            raise HandedOver

    def flush(self) -> None:
        """Send what is saved and not sent yet."""
        with self._lock:
            if self._unsent is None:
                return
            self._beat(self._fitting(self._unsent))
            self._unsent = None
            self._sent = time.monotonic()

    def _fitting(self, saved: Saved) -> Saved:
        content = saved.model_dump_json().encode()
        if self.store is not None and len(content) > MOST_INLINE:
            return Saved(name=saved.name, version=saved.version, file=self.store.write(self.info, content))
        if len(content) > MOST_BYTES:
            raise too_large(saved.name, len(content))
        return saved

    def _beat(self, saved: Saved) -> None:
        # An `async def` activity may save from a thread, where the SDK takes no heartbeat.
        if self._loop is None or _running_loop() is self._loop:
            activity.heartbeat(saved)
        else:
            asyncio.run_coroutine_threadsafe(_beat(saved), self._loop).result(BEAT_WITHIN)


async def _beat(saved: Saved) -> None:
    activity.heartbeat(saved)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


CURRENT: ContextVar[Call | None] = ContextVar("checkpointed_call", default=None)
"""The attempt that runs here; the host sets it."""


def _current(*, begins: bool = False) -> Call:
    call, info = CURRENT.get(), activity.info()
    if call is None or (not call.is_hosted and (begins or call.info is not info)):
        call = Call(info, None, None)  # in a test environment, which may run several calls
        CURRENT.set(call)
    return call


class Checkpoint(Generic[State]):
    """State of one kind, declared once at the top level of a module and used by one activity.

    Args:
        name: what saved state is found by; it stays the same from build to build.
        state: the pydantic model of the present version.
        migrations: by the version that each takes; see the module's own text. Under 0, if it is there, stands one
            that takes what the activity heartbeated before it had a checkpoint.
        handover: whether a running call may stop at any `save` and go on from there on another build.
        every: the least time between two saves that are sent; what is saved last is always sent before an attempt
            ends. Heartbeats are sent no closer than 80 % of the caller's heartbeat timeout, or ten seconds.
    """

    def __init__(
        self,
        name: str,
        state: type[State],
        *,
        migrations: Mapping[int, Migration] | None = None,
        handover: bool = False,
        every: timedelta = timedelta(seconds=5),
    ) -> None:
        """Declare it.

        Raises:
            ValueError: the migrations leave a gap or do not say what they take, or the name is taken.
        """
        self.name = Saved(name=name, version=1).name
        self.state = state
        self.handover = handover
        self._every = every.total_seconds()
        self._migrations = dict(migrations or {})
        self.version = max(self._migrations, default=0) + 1
        self._models = {version: _takes(step) for version, step in self._migrations.items()}
        self._models[self.version] = TypeAdapter(state)
        if sorted(self._models) != list(range(min(self._models), self.version + 1)):
            raise ValueError(f"the migrations of {name!r} leave a gap: {sorted(self._migrations)}")
        _register(self)

    def load(self, first: State) -> State:
        """The state that an earlier attempt of this call saved last, migrated; `first` if none did.

        Raises:
            ApplicationError: `UnreadableState`, which a retry on another build may read; `StoreAway`.
        """
        call = _current(begins=True)
        call.checkpoint = self
        found = self._found(call)
        if found is None:
            return first
        usable = self._usable(found)
        call.before = usable if usable.version < self.version else usable.before
        return self._migrated(usable.version, usable.state)

    def save(self, state: State) -> None:
        """Save the state; the call can go on from here. In `async def` code with a file store: in a thread.

        Raises:
            HandedOver: the call goes on elsewhere; let it pass.
            ApplicationError: `StateTooLarge`; `StoreAway`.
        """
        call = _current()
        call.checkpoint = self
        dumped = state.model_dump(mode="json")
        call.keep(Saved(name=self.name, version=self.version, state=dumped, before=call.before), self._every)

    def check(self, saved: Saved) -> None:
        """See whether this build reads a state that another one saved; nothing runs.

        Raises:
            ApplicationError: `UnreadableState`.
        """
        usable = self._usable(saved)
        self._migrated(usable.version, usable.state)

    def _found(self, call: Call) -> Saved | None:
        details = call.info.heartbeat_details
        saved = read(details)
        if saved is None:
            plain = details and 0 in self._migrations
            return Saved.model_construct(name=self.name, version=0, state=details[0]) if plain else None
        return in_full(saved, call.store, call.info)

    def _usable(self, saved: Saved) -> Saved:
        """The saved state, or the latest before it that is of a version which this build reads."""
        usable: Saved | None = saved
        while usable and not (usable.name == self.name and usable.version in self._models):
            usable = usable.before
        if usable is None:
            raise unreadable(
                saved, f"this build reads versions {min(self._models)} to {self.version} of {self.name!r}"
            )
        return usable

    def _migrated(self, version: int, state: JsonValue) -> State:
        try:
            value = self._models[version].validate_json(json.dumps(state))
        except ValidationError as error:
            why = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)[:5]
            )
            raise unreadable(Saved.model_construct(name=self.name, version=version), why) from None
        for step in range(version, self.version):
            value = self._migrations[step](value)
        if not isinstance(value, self.state):
            raise TypeError(f"the last migration of {self.name!r} gives {type(value)}, not {self.state}")
        return value


def _takes(migration: Migration) -> TypeAdapter[Any]:
    first = next(iter(inspect.signature(migration).parameters), "")
    hint = typing.get_type_hints(migration).get(first)
    if hint is None:
        raise ValueError(
            f"the migration {migration.__qualname__} does not say what it takes: annotate its parameter"
        )
    return TypeAdapter(hint)


_DECLARED: dict[str, Checkpoint[Any]] = {}


def _register(checkpoint: Checkpoint[Any]) -> None:
    other = _DECLARED.setdefault(checkpoint.name, checkpoint)
    if _origin(other) != _origin(checkpoint):
        raise ValueError(
            f"two checkpoints are named {checkpoint.name!r}: {_origin(other)}, {_origin(checkpoint)}"
        )
    _DECLARED[checkpoint.name] = checkpoint


def _origin(checkpoint: Checkpoint[Any]) -> str:
    return f"{checkpoint.state.__module__}.{checkpoint.state.__qualname__}"


def read(details: Sequence[Any]) -> Saved | None:
    """The checkpoint in a heartbeat's details, if that is what they are."""
    try:
        return Saved.model_validate(details[0])
    except (IndexError, ValidationError):
        return None


def in_full(saved: Saved, store: Store | None, call: activity.Info | None = None) -> Saved:
    """The checkpoint with its state, which is fetched where it is in a file.

    Raises:
        ApplicationError: `UnreadableState`, `StoreAway`.
    """
    if not saved.file:
        return saved
    if store is None:
        raise unreadable(saved, "it is in a file store, and this worker has none: set `checkpoint-store`")
    try:
        return Saved.model_validate_json(store.read(call, saved.file))
    except (FileNotFoundError, ValidationError) as error:
        raise unreadable(
            saved, f"its file {saved.file} is not what was written: {type(error).__name__}"
        ) from None  # it tells of what is in the file


def why_unreadable(details: Sequence[Any], store: Store | None) -> str:
    """Why this build, whose modules are imported, could not go on from these heartbeat details; empty if it could.

    Details that no checkpoint wrote are the activity's own affair, and are no reason.
    """
    saved = read(details)
    if saved is None:
        return ""
    declared = _DECLARED.get(saved.name)
    try:
        if declared is None:
            raise unreadable(saved, "this build has no checkpoint of that name")
        declared.check(in_full(saved, store))
    except ApplicationError as error:
        return error.message
    except Exception as error:  # a migration is research code; what it says may hold the state
        return f"a migration of state {saved.name!r} of version {saved.version} raises {type(error).__name__}"
    return ""


def unreadable(saved: Saved, why: str) -> ApplicationError:
    """The failure of a call that waits for a build that reads its state: nothing of it is lost."""
    return ApplicationError(
        f"state {saved.name!r} of version {saved.version} cannot be read: {why}", type="UnreadableState"
    )


def too_large(name: str, size: int) -> ApplicationError:
    """The failure of a call whose state Temporal would not take."""
    return ApplicationError(
        f"state {name!r} has {size:,} bytes, and Temporal takes {MOST_BYTES:,}: make it smaller, or set "
        "`checkpoint-store` in [tool.conduit] to keep large state in a file store",
        type="StateTooLarge",
    )
