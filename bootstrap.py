"""Run the demo or the tests on a machine that has no more than git and Python 3.11 or newer.

    python3 bootstrap.py demo
    python3 bootstrap.py test [PYTEST ARGUMENTS]
    python3 bootstrap.py set-up

The first run makes `.venv` beside this file; later runs install only when the requirements have changed.
"""

from __future__ import annotations  # so that an old Python gets as far as the message for it

import hashlib
import importlib.util
import itertools
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
REQUIREMENTS = ROOT / "requirements" / "dev.txt"
STAMP = VENV / "installed"
OLDEST_PYTHON = (3, 11)
COMMANDS = {
    "demo": ["conduit", "demo"],
    "test": ["python", "-m", "pytest"],
    "set-up": [],
}


def main(arguments: list[str]) -> None:
    """Set up what is missing, then become the command, if it is more than that.

    Raises:
        SystemExit: with 2 after a wrong command line, with 1 where the set-up failed.
    """
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
    refuse_old_python()
    set_up()
    command = COMMANDS[arguments[0]]
    if command:
        become([*command, *arguments[1:]])


def refuse_old_python() -> None:
    """Stop where this Python is too old for the project."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        found, oldest = (".".join(map(str, version)) for version in (sys.version_info[:2], OLDEST_PYTHON))
        raise SystemExit(
            f"This is Python {found}; the project needs {oldest} or newer. "
            f"Run it again as `python{oldest} bootstrap.py`."
        )


def set_up() -> None:
    """Make the environment and install into it what is not there yet."""
    wanted = fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    print(f"Setting up {VENV} (the first time takes a minute or two)", file=sys.stderr)
    make_environment()
    install()
    STAMP.write_text(wanted)


def fingerprint() -> str:
    """What the installed environment depends on, as one hash: place, Python, requirements and project."""
    told = (str(VENV), sys.version)  # programs of an environment name its place: it cannot be moved
    parts = [
        *map(os.fsencode, told),
        *(path.read_bytes() for path in (REQUIREMENTS, ROOT / "pyproject.toml")),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def make_environment() -> None:
    """Make `.venv` anew, so that nothing of an older set-up stays in it."""
    if importlib.util.find_spec("ensurepip") is None:
        raise SystemExit(
            "This Python cannot make virtual environments, because its `ensurepip` module is missing. "
            "Install your system's package python3-venv, on Debian and Ubuntu with "
            "`sudo apt-get install python3-venv`, and run this again."
        )
    venv.create(VENV, clear=True, symlinks=True, with_pip=True)


def install() -> None:
    """Install the pinned requirements, each checked against its hash, and the project itself."""
    pip = ("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    with tempfile.TemporaryDirectory() as folder:
        only_uv = Path(folder, "uv.txt")
        only_uv.write_text(pinned("uv"))
        run(*pip, "--require-hashes", "--requirement", str(only_uv))
    uv = ("uv", "pip", "install", "--quiet")
    run(*uv, "--require-hashes", "--compile-bytecode", "--requirements", str(REQUIREMENTS))
    run(*uv, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def pinned(package: str) -> str:
    """The part of the requirements, with the hashes, that is about one package."""
    lines = iter(REQUIREMENTS.read_text().splitlines(keepends=True))
    first = next(line for line in lines if line.startswith(f"{package}=="))
    return first + "".join(itertools.takewhile(lambda line: line.startswith(" "), lines))


def run(program: str, *arguments: str) -> None:
    """Run a program of the environment; stop where it fails."""
    finished = subprocess.run([str(BIN / program), *arguments], env=environment(), check=False)
    if finished.returncode != 0:
        raise SystemExit(
            f"Setting up failed: `{program} {' '.join(arguments)}` ended with {finished.returncode}. "
            "Its output above says why. Run this again once it is mended."
        )


def become(command: list[str]) -> None:
    """Replace this process by a program of the environment, so that signals and the exit code are its own."""
    program, *arguments = command
    os.chdir(ROOT)
    os.execve(BIN / program, [program, *arguments], environment())  # noqa: S606 - one of `COMMANDS`


def environment() -> dict[str, str]:
    """The variables of this process, with the programs of the environment first on PATH."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    return {**kept, "VIRTUAL_ENV": str(VENV), "PATH": path}


if __name__ == "__main__":
    main(sys.argv[1:])
