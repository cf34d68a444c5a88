"""Text of strangers for a report: one line, printable, short."""

from pipeline.gates.messages import LONGEST


def short(text: str, limit: int = LONGEST) -> str:
    """`text` without line ends and control characters, cut off at `limit`."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"
