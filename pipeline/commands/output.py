"""A command's result as a file for the next job."""

from pathlib import Path

from pipeline.errors import DestinationNotWritable
from pipeline.models import Value


def write(result: Value, file: Path) -> None:
    """Write a result as JSON, whole or not at all.

    Raises:
        DestinationNotWritable: the file cannot be written.
    """
    new = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(result.model_dump_json(indent=2))
        new.replace(file)
    except OSError as error:
        raise DestinationNotWritable(
            f"{file} cannot be written.", why=str(error), now="Name another file with --output."
        ) from None
