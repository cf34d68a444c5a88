"""The `setup` hook: what a research repo runs once before its worker polls, such as loading a model."""

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from pipeline.worker.failures import HostFailure, message, research_traceback
from pipeline.worker.hooks import find_function


def find_setup(reference: str | None) -> Callable[[], Any] | None:
    """Import the hook that `module:function` names.

    Raises:
        HostFailure: ImportFailed; SetupFailed if the module has no such function.
    """
    return find_function(reference, "setup hook", error="SetupFailed")


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
