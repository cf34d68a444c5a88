"""`python -m pipeline.declared.signatures FILE OUTPUT`: the contract of typed signatures, in a process of its own.

A signature is a function at the top of the file whose body is `...`, with a docstring before it if wanted:

    def identify_speaker(clip: AudioClip) -> SpeakerID: ...

Its name is the activity's; `@activity.defn(name="…")` above it gives another.
"""

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from temporalio import activity

from pipeline.worker.describe import DESCRIPTION, Described, Undescribed, contract_of
from pipeline.worker.discovery import Activity, activity_of
from pipeline.worker.failures import HostFailure, message, research_traceback

MODULE = "declared_contract"


def names(source: str) -> Iterator[str]:
    """The functions of a file that are signatures alone. Pure.

    Raises:
        SyntaxError: it is not Python.
    """
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and _is_signature(statement.body):
            yield statement.name


def _is_signature(body: list[ast.stmt]) -> bool:
    values = [_constant(statement) for statement in body]
    return values[-1] is ... and all(isinstance(value, str) for value in values[:-1])


def _constant(statement: ast.stmt) -> object:
    match statement:
        case ast.Expr(value=ast.Constant(value=value)):
            return value
    return None


def describe(path: Path) -> Described | Undescribed:
    """Import the file and read the contract that its signatures declare."""
    try:
        wanted = tuple(names(path.read_text(encoding="utf-8")))
        if not wanted:
            raise HostFailure("NoActivity", "It has no function whose body is `...`.")
        module = _imported(path)
        activities = sorted(_activities(module, wanted), key=lambda one: one.name)
        return Described(contract=contract_of(activities))
    except SyntaxError as error:
        return Undescribed(error="NoActivity", what=f"It is not Python: {error}", why="", log="")
    except HostFailure as failure:
        return Undescribed(error=failure.error, what=failure.what, why=failure.why, log=failure.log)


def _imported(path: Path) -> ModuleType:
    sys.path[:0] = [str(path.parent), str(Path.cwd())]
    loader = SourceFileLoader(MODULE, str(path))  # a `.pyi` is Python as well
    module = importlib.util.module_from_spec(ModuleSpec(MODULE, loader, origin=str(path)))
    sys.modules[MODULE] = module
    try:
        loader.exec_module(module)
    except BaseException as error:
        what = f"{path.name} does not import"
        raise HostFailure("ImportFailed", what, why=message(error), log=research_traceback(error)) from error
    return module


def _activities(module: ModuleType, wanted: Iterable[str]) -> Iterator[Activity]:
    for name in wanted:
        call: Callable[..., Any] = vars(module)[name]
        found = activity_of(call) or activity_of(activity.defn(name=name)(call))
        if found:
            yield found


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(DESCRIPTION.dump_json(describe(Path(sys.argv[1]))))
