"""What a job tells the Actions runner: annotations and groups on standard output, outputs in a file."""

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

OUTPUT_NAME = re.compile(r"[a-z][a-z0-9-]*")

Level = Literal["notice", "warning", "error"]


def annotation(level: Level, message: str, **properties: str | int) -> str:
    """A workflow command that shows a message on the run's page, on one line of text.

    Args:
        level: how it is shown.
        message: any text; its line ends survive.
        properties: `file`, `line`, `endLine`, `title`, as GitHub names them.
    """
    given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{level} {given}::{_data(message)}" if given else f"::{level}::{_data(message)}"


def inert(untrusted: str) -> str:
    """Lines for the job's log in which the runner carries out no command."""
    # Nobody can end what a random token began.
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{untrusted}\n::{token}::"


def outputs(values: Mapping[str, str], delimiter: str) -> str:
    """The lines that set a step's outputs.

    Args:
        values: any text by output name (lower-case letters, digits and hyphens).
        delimiter: a line that occurs in none of the values; make it at random.

    Raises:
        ValueError: a name is none, or a value holds the delimiter.
    """
    return "".join(_output(name, value, delimiter) for name, value in values.items())


def write_outputs(path: Path, values: Mapping[str, str]) -> None:
    """Append outputs to the file that `GITHUB_OUTPUT` names.

    Raises:
        ValueError: a name is none.
        OSError: the file cannot be written.
    """
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(outputs(values, f"conduit-{secrets.token_hex(16)}"))


def _output(name: str, value: str, delimiter: str) -> str:
    if not OUTPUT_NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an output")
    if delimiter in value:
        raise ValueError(f"the value of {name} holds the delimiter")
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def _data(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
