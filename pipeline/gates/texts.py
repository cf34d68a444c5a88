"""Text for a report: of strangers, and of how many."""

from pipeline.gates.messages import LONGEST


def short(text: str, limit: int = LONGEST) -> str:
    """`text` without line ends and control characters, cut off at `limit`."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def counted(count: int, what: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{count} {what}{'' if count == 1 else 's'}"
