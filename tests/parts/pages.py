"""What a page of the documentation asks its reader to paste: fenced blocks whose first line says `paste`.

```sh paste             is run, in the folder that the block before it left
```python paste x.py    is written to that file
"""

import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]


class Block(NamedTuple):
    """One block to paste."""

    language: str
    file: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that are to be pasted, in their order."""
    for token in MarkdownIt().parse((ROOT / page).read_text()):
        match token.info.split() if token.type == "fence" else []:
            case ["sh", "paste"]:
                yield Block("sh", "", token.content)
            case [language, "paste", file]:
                yield Block(language, file, token.content)


def paste(page: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Do what a page's reader does, line by line as in a terminal, and return what was printed."""
    script = "set -euo pipefail\n" + "\n".join(_pasted(block, folder) for block in blocks(page))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _pasted(block: Block, folder: Path) -> str:
    if block.language == "sh":
        return block.text
    written = folder / f".pasted-{block.file}"
    written.write_text(block.text)
    return f"cp {shlex.quote(str(written))} {shlex.quote(block.file)}"
