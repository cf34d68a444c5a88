from pathlib import Path

import pytest

from pipeline.errors import DirtyTree, NoSuchCommit, NotARepository, NotConfigured, UnknownKey
from pipeline.project import at_commit
from tests.parts.repos import FILES, commit, make_repo, write


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    make_repo(tmp_path / "repo", FILES)
    return tmp_path / "repo"


def test_a_clean_tree_is_read_at_head(repo: Path) -> None:
    sha = commit(repo, {"more": ""})
    project = at_commit(repo, None)
    assert project.commit.sha == sha
    assert project.config.algorithm == "measure"
    assert project.repository.root == repo


@pytest.mark.parametrize("changed", ["activities.py", "new.py", "pyproject.toml"])
def test_a_dirty_tree_is_refused_with_its_files(changed: str, repo: Path) -> None:
    write(repo, {changed: "changed"})
    with pytest.raises(DirtyTree) as raised:
        at_commit(repo, None)
    assert changed in raised.value.why


def test_a_deleted_file_is_dirty_too(repo: Path) -> None:
    (repo / "activities.py").unlink()
    with pytest.raises(DirtyTree, match="no commit"):
        at_commit(repo, None)


def test_many_changed_files_are_not_all_named(repo: Path) -> None:
    write(repo, {f"new{n}.py": "" for n in range(9)})
    with pytest.raises(DirtyTree) as raised:
        at_commit(repo, None)
    assert raised.value.why.endswith("new7.py …")


def test_a_named_commit_is_read_whatever_the_tree_holds(repo: Path) -> None:
    older = commit(repo, {})
    commit(
        repo,
        {"pyproject.toml": FILES["pyproject.toml"].replace('algorithm = "measure"', 'algorithm = "new"')},
    )
    write(repo, {"pyproject.toml": "dirty"})
    assert at_commit(repo, older).config.algorithm == "measure"
    assert at_commit(repo, "HEAD").config.algorithm == "new"


@pytest.mark.parametrize("revision", ["", "nowhere", "--all"])
def test_a_commit_that_is_not_there_is_refused(revision: str, repo: Path) -> None:
    with pytest.raises(NoSuchCommit):
        at_commit(repo, revision)


def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotARepository):
        at_commit(tmp_path, None)


def test_a_commit_without_pyproject_is_not_configured(tmp_path: Path) -> None:
    make_repo(tmp_path, {"team/README.md": ""})
    with pytest.raises(NotConfigured, match=r"team/pyproject\.toml"):
        at_commit(tmp_path / "team", None)


def test_a_mistake_in_the_commit_is_found_there(repo: Path) -> None:
    commit(repo, {"pyproject.toml": FILES["pyproject.toml"] + "replica = 2\n"})
    with pytest.raises(UnknownKey):
        at_commit(repo, None)


def test_an_algorithm_in_a_part_of_a_monorepo(tmp_path: Path) -> None:
    make_repo(tmp_path, {f"teams/audio/{name}": text for name, text in FILES.items()})
    write(tmp_path, {"teams/video/unfinished.py": ""})
    project = at_commit(tmp_path / "teams" / "audio", None)
    assert project.commit.path == "teams/audio"
    assert project.config.algorithm == "measure"
