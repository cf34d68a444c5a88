"""What `conduit onboard` reads of a repo, before it plans what to add."""

import base64
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from pipeline.errors import GitHubRefused
from pipeline.github import onboard

T = TypeVar("T")
HUGE = 10 * onboard.LARGEST_FILE


class Client:
    """Tries once."""

    def attempt(self, doing: str, operation: Callable[[], T]) -> T:
        return operation()


def read(*entries: SimpleNamespace, truncated: bool = False) -> dict[str, str]:
    repository: Any = SimpleNamespace(
        get_git_tree=lambda sha, recursive: SimpleNamespace(tree=entries, truncated=truncated),
        get_git_blob=lambda sha: SimpleNamespace(content=base64.b64encode(f"text of {sha}".encode())),
    )
    client: Any = Client()
    base: Any = SimpleNamespace(tree=SimpleNamespace(sha="root"))
    return onboard._read(client, repository, base, "")


def blob(path: str, size: int = 1) -> SimpleNamespace:
    return SimpleNamespace(path=path, type="blob", size=size, sha=path)


def test_code_is_read_where_people_wrote_it_and_the_configuration_always() -> None:
    found = read(blob("a.py"), blob("huge.py", HUGE), blob("model.bin"), blob("pyproject.toml", HUGE))
    assert found == {
        "a.py": "text of a.py",
        "huge.py": "",
        "model.bin": "",
        "pyproject.toml": "text of pyproject.toml",
    }


def test_a_list_of_files_that_is_not_whole_is_no_ground_to_add_any() -> None:
    with pytest.raises(GitHubRefused, match="more files"):
        read(blob("a.py"), truncated=True)
