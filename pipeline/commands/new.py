"""`conduit new NAME`: a research repo that is ready to be delivered."""

import shlex
from pathlib import Path

from pipeline import scaffold
from pipeline.models import Value
from pipeline.scaffold import ResearchRepo


class NewRepo(Value):
    """What was made and what to do with it."""

    repo: ResearchRepo
    next_steps: tuple[str, ...]
    """Commands, each with a remark after `#`, in the order to be typed."""


def new(
    name: str, into: Path | None = None, organisation: str = scaffold.PLACEHOLDER_ORGANISATION
) -> NewRepo:
    """Make the research repo `NAME` in the folder `into`, which is the current one by default.

    Raises:
        InvalidAlgorithmName, InvalidValue, DestinationExists, DestinationNotWritable: see `scaffold.render`.
    """
    repo = scaffold.render(name, (into or Path.cwd()) / name, organisation=organisation)
    return NewRepo(repo=repo, next_steps=next_steps(repo))


def next_steps(repo: ResearchRepo) -> tuple[str, ...]:
    """What a researcher types next."""
    commit = () if repo.commit else ("git add . && git commit  # the conduit delivers commits",)
    return (
        f"cd {shlex.quote(str(repo.folder))}",
        *commit,
        "conduit verify   # do its tests pass, can its contract be read?",
        "conduit deliver  # to the Temporal server of your environment; `conduit dev` starts one",
    )
