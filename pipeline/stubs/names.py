"""Names for Python code, made from names that a stranger may have chosen."""

import builtins
import keyword
import re
import typing
from collections.abc import Container, Iterable
from itertools import chain, count

import pydantic
import typing_extensions

from pipeline.stubs.vetting import ALIASED

# What the generated module imports or defines, or might: no model may take the place of any of it.
MODULE_NAMES = {
    "timedelta",
    "workflow",
    "RetryPolicy",
    "DEFAULTS",
    "CONTRACT",
    "CONTRACT_DIGEST",
    "Message",
    "Base64Message",
}
STANDARD_TYPES = {
    "Enum",
    "Path",
    "UUID",
    "Decimal",
    "IPv4Address",
    "IPv4Network",
    "IPv6Address",
    "IPv6Network",
}
RESERVED = frozenset(
    {*MODULE_NAMES, *STANDARD_TYPES, "date", "datetime", "time", *dir(builtins), *keyword.kwlist}
    | {*typing.__all__, *typing_extensions.__all__, *pydantic.__all__}
)
LONGEST = 60


def class_name(text: str) -> str:
    """`Page[Segment]` as `PageSegment`."""
    words = _words(text)
    name = "".join(word[0].upper() + word[1:] for word in words)[:LONGEST]
    return name if name and not name[0].isdigit() else f"Model{name}"


def function_name(text: str) -> str:
    """`speaker.identify-v2` and `speaker.identifyV2` as `speaker_identify_v2`."""
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    name = "_".join(_words(separated)).lower()[:LONGEST]
    return name if name and not name[0].isdigit() else f"activity_{name}".rstrip("_")


def unused(name: str, taken: Container[str], endings: Iterable[str] = ()) -> str:
    """`name`, with the first of the endings, or a number, that makes it one of its own."""
    candidates = (f"{name}{ending}" for ending in chain(("",), endings, count(2)))
    free = (each for each in candidates if each not in taken and each not in RESERVED)
    return next(each for each in free if not each.endswith(ALIASED))


def plain_words(text: str) -> str:
    """A description in one line that ends no string and escapes nothing, wherever it is put."""
    spaced = " ".join(text.split())
    printable = "".join(character for character in spaced if character.isprintable())
    return printable.replace("\\", "/").replace('"', "'").replace("#", "").strip()[:500]


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9]+", text)
