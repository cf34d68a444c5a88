"""Importing research modules and finding their activities.

An activity is a function or bound method under `@activity.defn` at the top level of a listed module:

    recognizer = Recognizer()
    identify = recognizer.identify      # a method counts through such a name

One that several modules import counts once.
"""

import importlib
import inspect
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from temporalio import activity

from pipeline.worker.failures import HostFailure, message, research_traceback

RESERVED = "conduit."
"""How the names begin of what the host itself offers."""


@dataclass(frozen=True)
class Activity:
    """One activity as the SDK sees it: these hints are the ones that payloads are decoded with."""

    name: str
    call: Callable[..., Any]
    parameters: tuple[Any, ...]
    """Type hint of each parameter; None where there is none."""
    result: Any
    """Type hint of the result; None where there is none, `type(None)` for `-> None`."""

    @property
    def place(self) -> str:
        """`module.function`, as a reader of the repo would look for it."""
        return place(self.call)


def find_activities(modules: Iterable[str]) -> tuple[Activity, ...]:
    """Import the modules and return their activities in the order of their names.

    Raises:
        HostFailure: ImportFailed, NoActivity, DuplicateActivity or UntypedActivity.
    """
    names = tuple(modules)
    found = _distinct(one for name in names for one in _activities_of(import_module(name)))
    if not found:
        raise HostFailure("NoActivity", f"no function under @activity.defn was found in {', '.join(names)}")
    found.sort(key=lambda one: (one.name, one.place))
    _refuse_reserved(found)
    _refuse_duplicates(found)
    return tuple(found)


def import_module(name: str) -> ModuleType:
    """Import a research module.

    Raises:
        HostFailure: ImportFailed, whatever it raised; `sys.exit()` in a module is a mistake too.
    """
    try:
        return importlib.import_module(name)
    except BaseException as error:
        what = f"the module {name!r} does not import"
        raise HostFailure("ImportFailed", what, why=message(error), log=research_traceback(error)) from error


def place(call: Callable[..., Any]) -> str:
    """`module.function`."""
    return f"{call.__module__}.{call.__qualname__}"


def _activities_of(module: ModuleType) -> Iterable[Activity]:
    for value in vars(module).values():
        if inspect.isroutine(value) and (found := activity_of(value)):
            yield found


def _distinct(activities: Iterable[Activity]) -> list[Activity]:
    # Compared, not hashed: a bound method is made anew at each access, and its object need not be hashable.
    found: list[Activity] = []
    for one in activities:
        if not any(one.call == other.call for other in found):
            found.append(one)
    return found


def activity_of(call: Callable[..., Any]) -> Activity | None:
    """The activity that a function is; None where it is none.

    Raises:
        HostFailure: UntypedActivity, for a dynamic one.
    """
    # The SDK has no public way to ask a function for its definition; this is the one its own worker uses.
    definition = activity._Definition.from_callable(call)
    if definition is None:
        return None
    if definition.name is None:
        raise HostFailure(
            "UntypedActivity",
            f"{place(call)} is a dynamic activity",
            why="it has neither a name to be called by nor a type; give each activity a function of its own",
        )
    return Activity(definition.name, call, _parameters(call, definition.arg_types), definition.ret_type)


def _parameters(call: Callable[..., Any], hints: list[type] | None) -> tuple[Any, ...]:
    return tuple(hints) if hints is not None else (None,) * len(inspect.signature(call).parameters)


def _refuse_reserved(found: list[Activity]) -> None:
    for one in found:
        if one.name.startswith(RESERVED):
            raise HostFailure(
                "DuplicateActivity",
                f"{one.place} is named {one.name!r}",
                why=f"names that begin with {RESERVED!r} are the worker host's own; rename it",
            )


def _refuse_duplicates(ordered: list[Activity]) -> None:
    for one, other in itertools.pairwise(ordered):
        if one.name == other.name:
            raise HostFailure(
                "DuplicateActivity",
                f"two activities are named {one.name!r}",
                why=f"{one.place} and {other.place}; a caller could not tell them apart: rename one of them",
            )
