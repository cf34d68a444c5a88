"""The plan and the output of a backfill: JSON lines. Line n of the output answers line n of the plan.

That makes a backfill resumable without any other record: it goes on behind the last whole line of its output.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from pipeline.backfill.messages import Answered, Header, Recomputed
from pipeline.errors import OutputUnusable


def plan_of(output: Path) -> Path:
    """Where the plan of an output is."""
    return output.with_name(f"{output.name}.plan")


def write_plan(plan: Path, header: Header, calls: Iterable[Answered]) -> None:
    """Write a plan in one step."""
    new = plan.with_name(f"{plan.name}.new")
    lines = (line.model_dump_json() + "\n" for line in (header, *calls))
    with new.open("w", encoding="utf-8") as file:
        file.writelines(lines)
    new.replace(plan)


def read_header(plan: Path) -> Header | None:
    """Whose calls a plan is of; None where there is no plan.

    Raises:
        OutputUnusable: the file is something else.
    """
    try:
        with plan.open(encoding="utf-8") as file:
            return Header.model_validate_json(file.readline())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OutputUnusable(
            f"{plan} is not the plan of a backfill.", why=type(error).__name__, now="Choose another --output."
        ) from None


def count_planned(plan: Path) -> int:
    """The number of calls in a plan."""
    with plan.open("rb") as file:
        return sum(1 for _ in file) - 1


def planned(plan: Path, start: int, most: int) -> tuple[Answered, ...]:
    """Some calls of a plan.

    Raises:
        OutputUnusable: somebody changed or removed it.
    """
    try:
        with plan.open(encoding="utf-8") as file:
            lines = islice(file, start + 1, start + 1 + most)
            return tuple(Answered.model_validate_json(line) for line in lines)
    except (OSError, ValueError) as error:
        raise OutputUnusable(
            f"{plan} is no longer the plan that the backfill wrote.",
            why=type(error).__name__,
            now="Begin another with another --output.",
        ) from error


def count_done(output: Path) -> int:
    """The number of whole lines of an output."""
    if not output.exists():
        return 0
    with output.open("rb") as file:
        return sum(line.endswith(b"\n") for line in file)


def append(output: Path, start: int, lines: Sequence[Recomputed]) -> None:
    """Write the lines from number `start` on; written before or half written, they are replaced.

    Raises:
        OutputUnusable: they cannot be written.
    """
    text = "".join(line.model_dump_json() + "\n" for line in lines)
    try:
        _write(output, start, text)
    except OSError as error:
        raise OutputUnusable(
            f"{output} cannot be written.", why=str(error), now="Make room and run the same command again."
        ) from error


def outcomes(output: Path) -> Counter[str]:
    """How many of the calls in an output came to what; a line that is half written does not count.

    Raises:
        OutputUnusable: it holds something else.
    """
    if not output.exists():
        return Counter()
    try:
        with output.open(encoding="utf-8") as file:
            whole = (line for line in file if line.endswith("\n"))
            return Counter(Recomputed.model_validate_json(line).outcome for line in whole)
    except (OSError, ValueError) as error:
        raise OutputUnusable(
            f"{output} holds lines that no backfill wrote.",
            why=type(error).__name__,
            now="Choose another --output.",
        ) from error


def _write(output: Path, start: int, text: str) -> None:
    with output.open("a+b") as file:
        file.seek(0)
        length = sum(len(line) for line in islice(file, start))
        file.truncate(length)
        file.seek(0, os.SEEK_END)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
