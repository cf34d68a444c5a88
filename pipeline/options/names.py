"""How a table names modules and what is in them."""

from typing import Annotated

from pydantic import AfterValidator


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


Module = Annotated[str, AfterValidator(dotted_name)]
Hook = Annotated[str, AfterValidator(hook_name)]
