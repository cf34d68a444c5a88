"""What the conduit asks of git: which commit, is the tree clean, which commit is newer, export one."""

import errno
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pipeline.errors import NoSuchCommit, NotARepository, ToolMissing, UnsafeTree
from pipeline.models import Commit, Value

# Git sets these for its hooks; they would turn our commands to the repository that the hook runs for.
OF_ANOTHER_REPOSITORY = frozenset(
    {
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_WORK_TREE",
    }
)
NONE: Mapping[str, str] = {}
SUBMODULE = "160000 "
"""How such an entry of a tree begins: its mode."""


class Repository(Value):
    """A git repository and the folder inside it that holds the algorithm."""

    root: Path
    path: str
    """Relative to the root, with `/`, empty at the root itself."""

    @property
    def folder(self) -> Path:
        """The algorithm's folder in the working tree."""
        return self.root / self.path


def _git(
    folder: Path, *arguments: str, variables: Mapping[str, str] = NONE
) -> subprocess.CompletedProcess[bytes]:
    # A commit may hold a folder that looks like a bare repository: git would obey the configuration in it.
    command = ["git", "-C", str(folder), "-c", "safe.bareRepository=explicit", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in OF_ANOTHER_REPOSITORY}
    environment.update(variables)
    try:
        return subprocess.run(command, env=environment, capture_output=True, check=False)
    except FileNotFoundError:
        raise ToolMissing("git is not installed.", now="Install git and run the command again.") from None


def repository(folder: Path) -> Repository:
    """Find the repository around `folder`.

    Raises:
        NotARepository: there is none.
    """
    answer = _git(folder, "rev-parse", "--show-toplevel") if folder.is_dir() else None
    if answer is None or answer.returncode != 0:
        raise NotARepository(
            f"{folder} is not in a git repository.",
            why=answer.stderr.decode(errors="replace").strip() if answer else "There is no such folder.",
            now="Run the command in a research repo, or name one with --project FOLDER.",
        )
    prefix = _git(folder, "rev-parse", "--show-prefix")
    return Repository(root=Path(_line(answer)), path=_line(prefix).rstrip("/"))


def _line(answer: subprocess.CompletedProcess[bytes]) -> str:
    """The one line of an answer; a folder's name may hold whatever a line's end is elsewhere."""
    return os.fsdecode(answer.stdout).removesuffix("\n")


def commit(repo: Repository, revision: str) -> Commit:
    """Look a revision up.

    Raises:
        NoSuchCommit: it names none.
    """
    # A user's own settings add signatures to the answer, and choose another encoding for it.
    form = ("--no-show-signature", "--encoding=UTF-8", "--format=%H%x00%cI%x00%an%x00%s")
    answer = _git(repo.root, "log", "-1", *form, "--end-of-options", revision, "--")
    if answer.returncode != 0 or not answer.stdout:
        if revision == "HEAD" and _is_empty(repo):
            raise NoSuchCommit(
                f"{repo.root} has no commit yet.",
                now="Make the first one, `git add --all && git commit`, and run the command again.",
            )
        raise NoSuchCommit(
            f"{revision[:80]!r} names no commit of {repo.root}.",
            why=answer.stderr.decode(errors="replace").strip(),
            now="Look at `git log`; in a shallow clone, fetch the commit first.",
        )
    sha, time, author, subject = answer.stdout.decode(errors="replace").rstrip("\n").split("\0")
    return Commit(
        sha=sha,
        time=_time(sha, time),
        author=author[:200],
        subject=subject[:200],
        repo=_origin(repo)[:500],
        path=repo.path,
    )


def _is_empty(repo: Repository) -> bool:
    return _git(repo.root, "rev-list", "--all", "--max-count=1").stdout == b""


def _time(sha: str, told: str) -> datetime:
    """The time of a commit, which may be whatever its author's clock said."""
    try:
        return datetime.fromisoformat(told).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NoSuchCommit(
            f"Commit {sha[:12]} is of no time that can be.",
            why=f"git says {told[:40]!r}.",
            now="Commit again on a machine whose clock is right: `git commit --amend --reset-author --no-edit`.",
        ) from None


def _origin(repo: Repository) -> str:
    url = _git(repo.root, "config", "--get", "remote.origin.url").stdout.decode(errors="replace").strip()
    return without_credentials(url) or str(repo.root)


def without_credentials(url: str) -> str:
    """Take user and password out of an http(s) URL, as CI checkouts carry a token there; "" if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.scheme.startswith("http"):
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def uncommitted(repo: Repository) -> tuple[str, ...]:
    """The paths of the algorithm's folder that differ from HEAD or are new to git, ignored ones left out."""
    # A user may have chosen not to be shown what is new.
    how = ("--porcelain", "-z", "--no-renames", "--untracked-files=normal")
    status = _git(repo.folder, "status", *how, "--", ".").stdout
    return tuple(entry[3:] for entry in status.decode(errors="replace").split("\0") if entry)


def read(repo: Repository, sha: str, name: str) -> str | None:
    """Read a file of the algorithm's folder as it is in a commit; None if it is not there."""
    answer = _git(repo.root, "show", f"{sha}:{repo.path + '/' if repo.path else ''}{name}")
    return answer.stdout.decode(errors="replace") if answer.returncode == 0 else None


def tree(repo: Repository, sha: str) -> str:
    """The hash of everything that a commit holds, whatever its message and parents are."""
    return _git(repo.root, "rev-parse", f"{sha}^{{tree}}").stdout.decode().strip()


def submodules(repo: Repository, sha: str) -> tuple[str, ...]:
    """The paths at which a commit names another repository's commit: what is in that is not in this one."""
    listed = _git(repo.root, "ls-tree", "-r", "-z", "--full-tree", sha).stdout.decode(errors="replace")
    entries = (entry.partition("\t") for entry in listed.split("\0"))
    return tuple(path for kind, _, path in entries if kind.startswith(SUBMODULE))


def is_ancestor(repo: Repository, older: str, newer: str) -> bool | None:
    """Whether `newer` was built upon `older`; None where this clone does not have both."""
    return {0: True, 1: False}.get(_git(repo.root, "merge-base", "--is-ancestor", older, newer).returncode)


def export(repo: Repository, sha: str, destination: Path) -> None:
    """Write a commit's files into an empty folder.

    The whole repository is written, as a monorepo's parts may need each other.

    Raises:
        UnsafeTree: the commit holds a link that leads out of the repository, or a device.
        NoSuchCommit: git has the commit, and not all that is in it.
        OSError: it cannot be written.
    """
    # In a file: a repo may hold more than fits into memory. A user's own line ends would make another artifact.
    with tempfile.TemporaryDirectory(prefix=".archive-", dir=destination.parent) as folder:
        archive = Path(folder) / "tar"
        how = ("-c", "core.autocrlf=false", "archive", "--format=tar", f"--output={archive}")
        answer = _git(repo.root, *how, sha)
        if answer.returncode != 0:
            why = answer.stderr.decode(errors="replace").strip()
            if os.strerror(errno.ENOSPC) in why:
                raise OSError(errno.ENOSPC, why)
            raise NoSuchCommit(
                f"Commit {sha[:12]} cannot be read.",
                why=why,
                now="Fetch the whole commit: `git fetch --refetch`.",
            )
        _unpack(archive, destination)


def _unpack(archive: Path, destination: Path) -> None:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(destination, filter="data")
    except tarfile.FilterError as error:
        raise UnsafeTree(
            "The commit cannot be exported.", why=str(error), now="Remove that file from the repository."
        ) from None


def make(folder: Path, *, author: str, time: datetime, subject: str, origin: str) -> None:
    """Make a repository of all that is in a folder, whose one commit is the same wherever and whenever it is made.

    Raises:
        ToolMissing: git is not installed.
        NotARepository: git would not do it.
    """
    who = {"NAME": author, "EMAIL": "", "DATE": time.isoformat()}
    variables = {f"GIT_{role}_{key}": text for role in ("AUTHOR", "COMMITTER") for key, text in who.items()}
    # Nothing of the user's own settings gets in: no hook, no signature, no other line ends.
    plain = ("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false", "-c", "core.autocrlf=false")
    for step in (
        ("init", "--quiet", "--template=", "--initial-branch=main"),
        ("config", "remote.origin.url", origin),
        ("add", "--all", "--force"),
        ("commit", "--quiet", "--allow-empty-message", f"--message={subject}"),
    ):
        answer = _git(folder, *plain, *step, variables=variables)
        if answer.returncode != 0:
            raise NotARepository(
                f"git could not make a repository in {folder}.",
                why=answer.stderr.decode(errors="replace").strip(),
                now="Try the same with git itself.",
            )
