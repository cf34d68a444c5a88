"""An algorithm at one commit: where it is, what it says of itself, and what its commit is."""

from pathlib import Path

from pipeline import config, git
from pipeline.config import Config
from pipeline.errors import DirtyTree, NotConfigured
from pipeline.models import Commit, Value, Workers

SHOWN = 8
"""Changed files that a message names."""


class Project(Value):
    """What every command on a research repo starts from, read from the commit and not the working tree."""

    repository: git.Repository
    commit: Commit
    config: Config

    @property
    def workers(self) -> Workers:
        """What a release is told about the workers of this commit's build."""
        config = self.config
        return Workers(
            replicas=config.replicas,
            start_timeout=config.start_timeout.total_seconds(),
            docker=config.docker,
        )


def at_commit(folder: Path, revision: str | None, runtime: str | None = None) -> Project:
    """Read the project of `folder` at a revision, or at HEAD if the working tree is clean.

    Args:
        folder: the algorithm's, in a git repository.
        revision: what git understands.
        runtime: in place of the one that the configuration names.

    Raises:
        NotARepository, NoSuchCommit: there is no such commit.
        DirtyTree: no revision was named and the tree has changes that are in no commit.
        NotConfigured, UnknownKey, InvalidValue, InvalidAlgorithmName: its configuration cannot be used.
    """
    repository = git.repository(folder)
    commit = git.commit(repository, "HEAD" if revision is None else revision)
    pyproject = git.read(repository, commit.sha, "pyproject.toml")
    if revision is None:
        _refuse_dirty(repository)
    if pyproject is None:
        raise NotConfigured(
            f"Commit {commit.short} has no {commit.path + '/' if commit.path else ''}pyproject.toml.",
            why="The conduit reads the algorithm's name from it.",
            now='Commit a pyproject.toml with these two lines:\n\n[tool.conduit]\nalgorithm = "my-algorithm"',
        )
    parsed = config.parse(pyproject)
    if runtime is not None:
        parsed = parsed.model_copy(update={"runtime": runtime})
    return Project(repository=repository, commit=commit, config=parsed)


def _refuse_dirty(repository: git.Repository) -> None:
    changed = git.uncommitted(repository)
    if changed:
        raise DirtyTree(
            "The working tree has changes that are in no commit.",
            why="Not committed: " + ", ".join(changed[:SHOWN]) + (" …" if len(changed) > SHOWN else ""),
            now="Commit them (or add them to .gitignore); `--commit HEAD` goes on without them.",
        )
