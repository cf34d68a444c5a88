"""Opens the pull request that puts a research repo on the conduit; run again, it updates the same one."""

import base64
from collections.abc import Iterator
from typing import Literal

import github
from github.GitCommit import GitCommit
from github.GitTree import GitTree
from github.PullRequest import PullRequest
from github.Repository import Repository

from pipeline.discovery import is_shipped_python
from pipeline.errors import GitHubRefused, OnboardingBlocked
from pipeline.github.client import Client
from pipeline.github.onboarding_plan import PYPROJECT, Plan, Repo, description, plan
from pipeline.models import Value

TITLE = "Deliver this algorithm through the conduit"
LARGEST_FILE = 500_000
"""Bytes; what is larger was not written by hand."""
MISSING = (404, 409)
"""How GitHub says that a branch does not exist, and that the repo holds nothing at all."""

Outcome = Literal["opened", "updated", "unchanged", "nothing-missing"]

DONE = {"opened": "opened", "updated": "updated", "unchanged": "open already, and as it should be:"}
PAGE = "docs/github.md"


class Onboarded(Value):
    """What was found, and the pull request that adds what was missing."""

    outcome: Outcome
    pull_request: str
    """Its page; empty where nothing is missing."""
    plan: Plan

    def lines(self) -> list[str]:
        """The closing lines for people."""
        if self.outcome == "nothing-missing":
            return [f"{self.plan.algorithm}: the repo has everything; no pull request was opened."]
        found = ", ".join(self.plan.activities)
        added = ", ".join(self.plan.files)
        return [
            f"{self.plan.algorithm}: {DONE[self.outcome]} {self.pull_request}",
            f"  found: {found}",
            f"  adds:  {added}",
            f"  then:  set the environment's secrets, see {PAGE}",
        ]


def onboard(client: Client, name: str, *, toolkit: str, path: str = "") -> Onboarded:
    """Open or update the onboarding pull request of a repo.

    Args:
        client: with a token that may write the repo's contents, pull requests and workflows.
        name: `owner/name` of the research repo.
        toolkit: `OWNER/REPO@REF` of the conduit.
        path: folder of the algorithm inside the repo, empty at its root.

    Raises:
        GitHubRefused, GitHubUnreachable: GitHub did not grant it.
        OnboardingBlocked: the branch of the pull request holds commits that are not ours.
        NoActivity, NotConfigured, InvalidAlgorithmName, InvalidValue: see `onboarding_plan.plan`.
    """
    repository = client.repository(name)
    branch = client.attempt(f"the question for {name}", lambda: repository.default_branch)
    base = client.attempt(f"the question for {name}'s newest commit", lambda: _head(repository, branch))
    if base is None:
        raise GitHubRefused(
            f"{name} has no commit yet.",
            why=f"Its default branch {branch} does not exist.",
            now="Push the research code first, and run this again.",
        )
    files = _read(client, repository, base, path)
    planned = plan(Repo(name=name, default_branch=branch, path=path, files=files), toolkit)
    if not planned.files:
        return Onboarded(outcome="nothing-missing", pull_request="", plan=planned)
    changed = client.attempt("the onboarding branch", lambda: _commit(repository, base, planned))
    url, opened = client.attempt("the onboarding pull request", lambda: _propose(repository, branch, planned))
    outcome: Outcome = "opened" if opened else "updated" if changed else "unchanged"
    return Onboarded(outcome=outcome, pull_request=url, plan=planned)


def _read(client: Client, repository: Repository, base: GitCommit, path: str) -> dict[str, str]:
    """Every path of a commit with its text, which is asked for only where the plan needs it."""
    tree = client.attempt("the question for its files", lambda: _tree(repository, base))
    if tree.truncated:
        # A pyproject.toml that was left out of the list would be written anew.
        raise GitHubRefused(
            "The repo holds more files than GitHub lists at once.",
            why="What it lacks cannot be told from a part of the list.",
            now=f"Add the two workflows and the table by hand, as {PAGE} shows them.",
        )
    needed = dict(_needed(tree, path))

    def text(sha: str) -> str:
        return client.attempt("the question for a file", lambda: _blob(repository, sha))

    return {entry.path: text(needed[entry.path]) if entry.path in needed else "" for entry in tree.tree}


def _tree(repository: Repository, base: GitCommit) -> GitTree:
    return repository.get_git_tree(base.tree.sha, recursive=True)


def _needed(tree: GitTree, path: str) -> Iterator[tuple[str, str]]:
    prefix = f"{path}/" if path else ""
    for entry in tree.tree:
        inside = entry.path.removeprefix(prefix)
        is_file = entry.type == "blob" and entry.path.startswith(prefix)
        is_code = is_file and is_shipped_python(inside) and entry.size <= LARGEST_FILE
        if is_code or (is_file and inside == PYPROJECT):
            yield entry.path, entry.sha


def _blob(repository: Repository, sha: str) -> str:
    return base64.b64decode(repository.get_git_blob(sha).content).decode("utf-8", errors="replace")


def _commit(repository: Repository, base: GitCommit, planned: Plan) -> bool:
    """Put the plan's files on our branch, on top of `base`; tells whether that changed it."""
    head = _head(repository, planned.branch)
    if head is not None and head.message != TITLE:
        raise OnboardingBlocked(
            f"The branch {planned.branch} was left as it is.",
            why="Its newest commit is not ours, and an update would undo it.",
            now="Merge its pull request, or delete the branch and run this again.",
        )
    files = [
        github.InputGitTreeElement(path, "100644", "blob", content=text)
        for path, text in planned.files.items()
    ]
    tree = repository.create_git_tree(files, base_tree=base.tree)
    if head is not None and head.tree.sha == tree.sha:
        return False
    commit = repository.create_git_commit(TITLE, tree, [base])
    if head is None:
        repository.create_git_ref(f"refs/heads/{planned.branch}", commit.sha)
    else:
        _move(repository, planned.branch, commit.sha)
    return True


def _move(repository: Repository, branch: str, sha: str) -> None:
    # PyGithub's `GitRef.edit` writes to the address that the ref was read from, which is another one.
    address = f"{repository.url}/git/refs/heads/{branch}"
    repository.requester.requestJsonAndCheck("PATCH", address, input={"sha": sha, "force": True})


def _head(repository: Repository, branch: str) -> GitCommit | None:
    try:
        sha = repository.get_git_ref(f"heads/{branch}").object.sha
    except github.GithubException as refused:
        if refused.status in MISSING:
            return None
        raise
    return repository.get_git_commit(sha)


def _propose(repository: Repository, base: str, planned: Plan) -> tuple[str, bool]:
    """The page of our pull request, and whether it was opened just now."""
    body = description(planned)
    pull = _open_pull(repository, base, planned.branch)
    if pull is None:
        return repository.create_pull(base=base, head=planned.branch, title=TITLE, body=body).html_url, True
    if pull.body != body:
        pull.edit(body=body)
    return pull.html_url, False


def _open_pull(repository: Repository, base: str, branch: str) -> PullRequest | None:
    head = f"{repository.owner.login}:{branch}"
    return next(iter(repository.get_pulls(state="open", base=base, head=head)), None)
