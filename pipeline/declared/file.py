"""A contract file: typed signatures in Python, stubs, the JSON of a contract, or a build record."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from pipeline import stubs
from pipeline.build.described import contract_from
from pipeline.command import run, without_secrets
from pipeline.contract.payload import UNUSABLE, validator
from pipeline.errors import ImportFailed, NoActivity, NotAContract, NotStubs
from pipeline.models import Build
from pipeline.worker.contract import Contract

PYTHON = (".py", ".pyi")
LARGEST = 16 * 1024 * 1024
IMPORTING = 120.0
"""Seconds that a file of signatures gets to import."""
FORMS = (
    "Give Python with typed functions whose body is `...`, the JSON of a contract or of `conduit build --json`, "
    "or a module of `conduit stubs`."
)


def read(path: Path, environment: Mapping[str, str]) -> Contract:
    """Read the contract of a file. A file of signatures is imported, in a process of its own.

    Raises:
        NotAContract: there is none in it, or a schema of it is not JSON Schema.
        ImportFailed: the file of signatures does not import.
        UntypedActivity: a signature has no types, or more than one parameter.
    """
    text = _text(path)
    contract = _of_python(path, text, environment) if path.suffix in PYTHON else _of_json(path, text)
    _check(path, contract)
    return contract


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise _none(path, f"It is longer than {LARGEST:,} bytes.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _none(path, str(error)) from None


def _none(path: Path, why: str) -> NotAContract:
    return NotAContract(f"{path} holds no contract.", why=why, now=FORMS)


def _of_json(path: Path, text: str) -> Contract:
    try:
        return Contract.model_validate_json(text)
    except ValidationError as error:
        no_contract = error
    try:
        return Build.model_validate_json(text).contract
    except ValidationError:
        first = no_contract.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise _none(path, f"As a contract: {place}: {first['msg']}.") from None


def _of_python(path: Path, text: str, environment: Mapping[str, str]) -> Contract:
    try:
        return stubs.recorded(text)
    except NotStubs:
        return _of_signatures(path, environment)


def _of_signatures(path: Path, environment: Mapping[str, str]) -> Contract:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "contract.json"
        command = [sys.executable, "-m", "pipeline.declared.signatures", str(path.resolve()), str(output)]
        try:
            outcome = run(
                command, cwd=Path.cwd(), environment=without_secrets(environment), timeout=IMPORTING
            )
        except subprocess.TimeoutExpired:
            raise ImportFailed(
                f"{path} did not finish importing.",
                why=f"After {IMPORTING:.0f} seconds it was still at it.",
                now="Let it hold models and signatures only.",
            ) from None
        try:
            return contract_from(output, outcome.tail())
        except NoActivity as error:
            raise _none(path, error.what) from None


def _check(path: Path, contract: Contract) -> None:
    names = [each.name for each in contract.activities]
    if len(set(names)) < len(names) or not names:
        raise _none(path, "It names an activity twice." if names else "It names no activity.")
    for each in contract.activities:
        for schema in (each.input, each.output):
            try:
                validator({} if schema is None else schema)
            except UNUSABLE as error:
                raise _none(path, f"A schema of activity {each.name[:80]!r}: {str(error)[:300]}") from None
