"""`conduit onboard OWNER/REPO`: a pull request that puts a research repo on the conduit."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import InvalidValue, NoGitHubToken
from pipeline.github.context import RepositoryName, Url

if TYPE_CHECKING:
    from pipeline.github.onboard import Onboarded

GITHUB = "https://api.github.com"
TOOLKIT = "algorithm-conduit@v1"
"""Where the conduit is looked for: beside the research repo, at the newest release of this major version."""
REPOSITORY: TypeAdapter[str] = TypeAdapter(RepositoryName)
URL: TypeAdapter[str] = TypeAdapter(Url)
FOLDER = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")


def onboard(
    repository: str, environment: Mapping[str, str], *, path: str = "", toolkit: str = ""
) -> "Onboarded":
    """Open or update the onboarding pull request of a repo.

    Args:
        repository: `owner/name` of the research repo.
        environment: holds the token in `GH_TOKEN` or `GITHUB_TOKEN`, and another GitHub's address in
            `GITHUB_API_URL`.
        path: folder of the algorithm inside the repo, empty at its root.
        toolkit: `OWNER/REPO@REF` of the conduit whose workflows the repo will call; empty for the one that
            the repo's owner has.

    Raises:
        InvalidValue: the repository, the path, the toolkit or the API's address is none.
        NoGitHubToken: there is no token.
        GitHubRefused, GitHubUnreachable: GitHub did not grant it.
        OnboardingBlocked: the branch of the pull request holds commits that are not ours.
        NoActivity, NotConfigured, InvalidAlgorithmName: the repo is not ready for it.
    """
    _check("repository", repository, REPOSITORY, "Give it as OWNER/REPO, such as acme/speaker-id.")
    api_url = environment.get("GITHUB_API_URL") or GITHUB
    _check(
        "GITHUB_API_URL", api_url, URL, f"Unset it for {GITHUB}, or give the address of your GitHub's API."
    )
    folder, token = _folder(path), _token(environment)

    # They bring PyGithub, which is slow to import.
    from pipeline.github import onboard as pull_request
    from pipeline.github.client import Client

    toolkit = toolkit or f"{repository.partition('/')[0]}/{TOOLKIT}"
    return pull_request.onboard(Client(api_url, token), repository, toolkit=toolkit, path=folder)


def _token(environment: Mapping[str, str]) -> str:
    token = environment.get("GH_TOKEN") or environment.get("GITHUB_TOKEN")
    if not token:
        raise NoGitHubToken(
            "GitHub cannot be called without a token.",
            why="Neither GH_TOKEN nor GITHUB_TOKEN is set.",
            now="Set one that may write contents, pull requests and workflows, such as "
            "export GH_TOKEN=$(gh auth token)",
        )
    return token


def _folder(path: str) -> str:
    folder = str(PurePosixPath(path)) if path else ""
    if folder == ".":
        return ""
    if folder and (not FOLDER.fullmatch(folder) or ".." in PurePosixPath(folder).parts):
        raise InvalidValue(
            f"{path[:80]!r} is not a folder inside a repo.",
            now="Give it from the repo's root, such as algorithms/speaker-id.",
        )
    return folder


def _check(what: str, value: str, kind: TypeAdapter[str], now: str) -> None:
    try:
        kind.validate_python(value)
    except ValidationError as invalid:
        raise InvalidValue(f"{value[:80]!r} is not a {what}.", now=now) from invalid
