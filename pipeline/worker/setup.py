"""The `setup` hook: what a research repo runs once before its worker polls, such as loading a model."""

import asyncio
import operator
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from pipeline.worker.discovery import import_module
from pipeline.worker.failures import HostFailure, message, research_traceback


def find_setup(reference: str | None) -> Callable[[], Any] | None:
    """Import the hook that `module:function` names.

    Raises:
        HostFailure: ImportFailed; SetupFailed if the module has no such function.
    """
    if reference is None:
        return None
    module, _, function = reference.partition(":")
    try:
        hook: Callable[[], Any] = operator.attrgetter(function)(import_module(module))
    except AttributeError as error:
        what = f"the setup hook {reference!r} was not found"
        raise HostFailure("SetupFailed", what, why=message(error)) from error
    if not callable(hook):
        why = f"it is of type {type(hook).__name__}"
        raise HostFailure("SetupFailed", f"the setup hook {reference!r} cannot be called", why=why)
    return hook


def run_setup(hook: Callable[[], Any], runner: asyncio.Runner) -> None:
    """Call the hook in the main thread; an `async def` one on the loop that activities will run on.

    Raises:
        HostFailure: SetupFailed, whatever it raised.
    """
    try:
        outcome = hook()
        if isawaitable(outcome):
            runner.run(_finish(outcome))
    except BaseException as error:
        raise HostFailure(
            "SetupFailed", "the setup hook raised", why=message(error), log=research_traceback(error)
        ) from error


async def _finish(outcome: Any) -> None:
    await outcome
