"""Whether stubs still fit a contract: the module holds the contract that it was made from."""

import ast
import base64
import binascii
import zlib

from pydantic import ValidationError

from pipeline.contract import Change, compare
from pipeline.errors import NotStubs
from pipeline.worker.contract import Contract

LARGEST_CONTRACT = 16 * 1024 * 1024


def check(module_text: str, contract: Contract) -> tuple[Change, ...]:
    """Return what changed since the stubs were made; empty if they fit. The module is read and never run.

    Raises:
        NotStubs: the text is no module that `conduit stubs` wrote, or somebody edited what it records.
    """
    before = recorded(module_text)
    if before.digest == contract.digest:
        return ()
    return compare(before, contract)


def packed(contract: Contract) -> str:
    """A contract as text that needs no quoting."""
    return base64.b64encode(zlib.compress(contract.model_dump_json().encode(), level=9)).decode()


def recorded(module_text: str) -> Contract:
    """The contract that stubs were made from. The module is read and never run.

    Raises:
        NotStubs: see `check`.
    """
    constants = _constants(module_text)
    if "CONTRACT" not in constants or "CONTRACT_DIGEST" not in constants:
        raise _not_stubs("It has no `CONTRACT` and `CONTRACT_DIGEST`.")
    try:
        contract = Contract.model_validate_json(_unpacked(constants["CONTRACT"]))
    except (binascii.Error, zlib.error, ValidationError, ValueError) as error:
        raise _not_stubs("Its `CONTRACT` is not what `conduit stubs` wrote.") from error
    if contract.digest != constants["CONTRACT_DIGEST"]:
        raise _not_stubs("Its `CONTRACT_DIGEST` is not that of its `CONTRACT`.")
    return contract


def _constants(module_text: str) -> dict[str, str]:
    try:
        tree = ast.parse(module_text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _not_stubs("It is not Python.") from error
    return {name: text for statement in tree.body for name, text in _text_constant(statement)}


def _text_constant(statement: ast.stmt) -> list[tuple[str, str]]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
            return [(name, text)]
    return []


def _unpacked(text: str) -> bytes:
    inflater = zlib.decompressobj()
    data = inflater.decompress(base64.b64decode(text, validate=True), LARGEST_CONTRACT)
    if not inflater.eof:
        raise ValueError("longer than any contract")
    return data


def _not_stubs(why: str) -> NotStubs:
    return NotStubs("The file holds no stubs.", why=why, now="Make it again with `conduit stubs`.")
