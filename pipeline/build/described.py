"""What the worker host's `describe` wrote, as a contract or as the error that there is none."""

from collections.abc import Mapping
from pathlib import Path

from pipeline import errors
from pipeline.worker.contract import Contract
from pipeline.worker.describe import Undescribed, read_description

REMEDIES: Mapping[type[errors.ConduitError], str] = {
    errors.ImportFailed: "Import the module in the repo's own environment and mend what fails.",
    errors.NoActivity: "Put @activity.defn above a function and name its module in `activities`.",
    errors.DuplicateActivity: 'Give one of them another name: @activity.defn(name="…").',
    errors.UntypedActivity: "Annotate the activity's one argument and its result with types.",
}


def contract_from(output: Path, log: str) -> Contract:
    """Read the contract that `describe` wrote to `output`.

    Args:
        log: the end of what it printed.

    Raises:
        ImportFailed, NoActivity, DuplicateActivity, UntypedActivity: it found none.
    """
    try:
        description = read_description(output)
    except (OSError, ValueError):
        raise errors.ImportFailed(
            "The activity modules ended the interpreter while they were imported.",
            now="Import the module by hand and mend what ends it.",
            log=log,
        ) from None
    if isinstance(description, Undescribed):
        raise _failure(description, log)
    return description.contract


def _failure(description: Undescribed, log: str) -> errors.ConduitError:
    kind = errors.all_errors().get(description.error, errors.ImportFailed)
    return kind(description.what, why=description.why, now=REMEDIES.get(kind, ""), log=log)
