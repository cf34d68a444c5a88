"""One comment on a pull request, which is updated and not repeated."""

from github.Issue import Issue
from github.IssueComment import IssueComment
from github.Repository import Repository

from pipeline.github.summary import COMMENT_LIMIT, fit


def publish(repository: Repository, number: int, key: str, body: str) -> None:
    """Say something on a pull request, in the place where it was said before.

    Args:
        repository: the repository.
        number: of the pull request.
        key: tells our comments apart, such as `contract speaker-id`; letters, digits, spaces and hyphens.
        body: markdown.
    """
    issue = repository.get_issue(number)
    marked = fit([marker(key), body], COMMENT_LIMIT)
    own = find(issue, key)
    if own is None:
        issue.create_comment(marked)
    elif own.body != marked:
        own.edit(marked)


def find(issue: Issue, key: str) -> IssueComment | None:
    """Our comment: a person can write the marker too, but is no bot."""
    return next(
        (
            comment
            for comment in issue.get_comments()
            # Who wrote it is unknown where the account is gone.
            if comment.body.startswith(marker(key)) and comment.user and comment.user.type == "Bot"
        ),
        None,
    )


def marker(key: str) -> str:
    """An HTML comment, which GitHub does not show."""
    if not all(letter.isalnum() or letter in " -" for letter in key) or "--" in key:
        raise ValueError(f"{key!r} cannot mark a comment")
    return f"<!-- conduit: {key} -->"
