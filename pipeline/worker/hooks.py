"""What a research repo names by `module:name`, apart from its activities."""

import inspect
import operator
from collections.abc import Callable
from typing import Any

from temporalio.converter import PayloadCodec

from pipeline.worker.discovery import import_module
from pipeline.worker.failures import FailureName, HostFailure, message


def find(reference: str, role: str, *, error: FailureName = "HostMisconfigured") -> Any:
    """Import what `module:name` names.

    Raises:
        HostFailure: ImportFailed; `error` if the module has nothing of that name.
    """
    module, _, name = reference.partition(":")
    try:
        return operator.attrgetter(name)(import_module(module))
    except AttributeError as missing:
        raise HostFailure(error, f"the {role} {reference!r} was not found", why=message(missing)) from missing


def find_function(
    reference: str | None, role: str, *, error: FailureName = "HostMisconfigured"
) -> Callable[..., Any] | None:
    """Import a function; None where none is named.

    Raises:
        HostFailure: ImportFailed; `error` if it is not there or cannot be called.
    """
    if reference is None:
        return None
    found = find(reference, role, error=error)
    if not callable(found):
        why = f"it is of type {type(found).__name__}"
        raise HostFailure(error, f"the {role} {reference!r} cannot be called", why=why)
    return found  # type: ignore[no-any-return]


def find_compare(reference: str | None) -> Callable[[Any, Any], Any] | None:
    """Import the function that compares outputs; None where none is named.

    Raises:
        HostFailure: ImportFailed; HostMisconfigured if it is not there or cannot be called.
    """
    found = find_function(reference, "function that compares outputs")
    if inspect.iscoroutinefunction(found):
        what = f"the function that compares outputs {reference!r} cannot be called"
        raise HostFailure("HostMisconfigured", what, why="it is `async def`: make it a plain `def`")
    return found


def find_codec(reference: str | None) -> PayloadCodec | Callable[[], Any] | None:
    """Import a codec, or what makes one when it is called; None where none is named.

    Raises:
        HostFailure: ImportFailed or HostMisconfigured.
    """
    if reference is None:
        return None
    found = find(reference, "codec")
    if isinstance(found, PayloadCodec) or callable(found):
        return found  # type: ignore[no-any-return]
    raise _no_codec(reference, found)


def make_codec(reference: str | None) -> PayloadCodec | None:
    """Import a codec and make it: it may need a key that workers alone have.

    Raises:
        HostFailure: ImportFailed or HostMisconfigured.
    """
    found = find_codec(reference)
    try:
        codec = found if found is None or isinstance(found, PayloadCodec) else found()
    except Exception as error:
        what = f"the codec {reference!r} could not be made"
        raise HostFailure("HostMisconfigured", what, why=message(error)) from error
    if codec is not None and not isinstance(codec, PayloadCodec):
        raise _no_codec(reference, codec)
    return codec


def _no_codec(reference: str | None, found: object) -> HostFailure:
    why = f"it is of type {type(found).__name__}, not a temporalio.converter.PayloadCodec"
    return HostFailure("HostMisconfigured", f"{reference!r} is no codec", why=why)
