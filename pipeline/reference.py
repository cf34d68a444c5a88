"""The pages of `docs/` that are made from the code. `python -m pipeline.reference` writes them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline import config, errors

EXIT_CODES_HEAD = """\
# Exit codes

Made from `pipeline/errors.py` by `python -m pipeline.reference`. A code never changes its meaning.

| code | name | meaning |
|---:|---|---|
| 0 | | It worked, or there was nothing to do. |
| 1 | | A fault of the conduit's own. |
| 2 | | The command line is wrong. |
"""
EXIT_CODES_END = "| 130 | | Ctrl-C, SIGTERM or the end of the terminal. |\n"


def exit_codes() -> str:
    """`docs/exit-codes.md`: every exit code in order, in Markdown."""
    kinds = sorted(errors.all_errors().values(), key=lambda kind: kind.exit_code)
    return EXIT_CODES_HEAD + "".join(map(_row, kinds)) + EXIT_CODES_END


def _row(kind: type[errors.ConduitError]) -> str:
    meaning = " ".join((kind.__doc__ or "").split())
    return f"| {kind.exit_code} | `{kind.__name__}` | {meaning} |\n"


def config_schema() -> str:
    """`docs/tool-conduit.schema.json`: the JSON Schema of `[tool.conduit]`."""
    return json.dumps(config.json_schema(), indent=2) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "exit-codes.md": exit_codes,
    "tool-conduit.schema.json": config_schema,
}


def write(folder: Path) -> None:
    """Write every page into the folder."""
    for name, render in PAGES.items():
        (folder / name).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parents[1] / "docs")
