import contextlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import git
from pipeline.errors import NoSuchCommit, NotARepository, UnsafeTree
from tests.parts.repos import commit, make_repo
from tests.parts.repos import git as run_git

HOSTILE = "$(touch hacked)\n; `id` \"'"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository of one commit."""
    make_repo(tmp_path / "repo", {"pyproject.toml": "at first", "part/file": "1"})
    return tmp_path / "repo"


def test_the_repository_is_found_from_a_folder_in_it(folder: Path) -> None:
    assert git.repository(folder) == git.Repository(root=folder, path="")
    part = git.repository(folder / "part")
    assert part == git.Repository(root=folder, path="part")
    assert part.folder == folder / "part"


def test_what_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotARepository):
        git.repository(tmp_path)
    with pytest.raises(NotARepository, match="nowhere"):
        git.repository(tmp_path / "nowhere")


def test_a_hooks_variables_do_not_turn_to_another_repository(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repo(tmp_path / "other", {"file": ""})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert git.repository(folder).root == folder
    assert git.uncommitted(git.repository(folder)) == ()


@pytest.mark.parametrize("name", [HOSTILE, "-rf", "with space", "ümläut", "\udcff"])
def test_folders_and_files_may_have_any_name(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    make_repo(root, {})
    (root / name).mkdir()
    (root / name / name).write_text("changed")
    repo = git.repository(root / name)
    assert repo.folder == root / name
    assert len(git.uncommitted(repo)) == 1
    sha = commit(root, {})
    assert git.uncommitted(repo) == ()
    assert git.read(repo, sha, name) == "changed"


def test_a_commit_tells_who_when_and_what(folder: Path) -> None:
    sha = commit(folder, {}, message=f"{'long ' * 100}\n\nbody")
    found = git.commit(git.repository(folder), "HEAD")
    assert found.sha == sha
    assert found.author == "Researcher"
    assert found.subject == ("long " * 100)[:200]
    assert found.time.tzinfo is not None
    assert found.repo == str(folder)


def test_a_users_own_settings_do_not_change_what_git_answers(folder: Path, tmp_path: Path) -> None:
    sha = commit(folder, {".gitattributes": "*.txt text", "a.txt": "1\n"}, message="Größe — Ω")
    for name, value in (
        ("log.showSignature", "true"),
        ("gpg.program", str(signed_by(tmp_path / "gpg"))),
        ("i18n.logOutputEncoding", "ISO-8859-1"),
        ("status.showUntrackedFiles", "no"),
        ("core.autocrlf", "true"),
    ):
        run_git(folder, "config", name, value)
    sign(folder)
    repo = git.repository(folder)
    found = git.commit(repo, "HEAD")
    assert (found.subject, found.sha != sha) == ("Größe — Ω", True)
    (folder / "new").write_text("")
    assert git.uncommitted(repo) == ("new",)
    git.export(repo, found.sha, tmp_path / "out")
    assert (tmp_path / "out/a.txt").read_bytes() == b"1\n"


def signed_by(program: Path) -> Path:
    """A stand-in for gpg that signs everything and believes every signature."""
    program.write_text(
        "#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho '[GNUPG:] GOODSIG 0 me'\n"
        "echo 'Good signature' >&2\necho '-----BEGIN PGP SIGNATURE-----'\necho '-----END PGP SIGNATURE-----'\n"
    )
    program.chmod(0o755)
    return program


def sign(folder: Path) -> None:
    run_git(folder, "commit", "--quiet", "--amend", "--no-edit", "--gpg-sign")


def test_a_commit_of_no_time_that_can_be_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "@253402300800 +0000")
    run_git(folder, "commit", "--quiet", "--amend", "--no-edit")
    with pytest.raises(NoSuchCommit, match="no time"):
        git.commit(git.repository(folder), "HEAD")


def test_a_subject_is_text(folder: Path) -> None:
    commit(folder, {}, message="$(touch hacked) %H ${{ secrets.X }}")
    assert git.commit(git.repository(folder), "HEAD").subject == "$(touch hacked) %H ${{ secrets.X }}"
    assert not (folder / "hacked").exists()


@pytest.mark.parametrize(
    "revision", ["", "nowhere", "f" * 40, "--all", "--output=x", "HEAD:part", "^HEAD", HOSTILE]
)
def test_what_names_no_commit_is_refused(revision: str, folder: Path) -> None:
    with pytest.raises(NoSuchCommit):
        git.commit(git.repository(folder), revision)
    assert sorted(file.name for file in folder.iterdir()) == [".git", "part", "pyproject.toml"]


def test_a_repository_without_a_commit_has_no_head(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "--quiet")
    with pytest.raises(NoSuchCommit, match="has no commit yet"):
        git.commit(git.repository(tmp_path), "HEAD")


@pytest.mark.parametrize(
    ("url", "without"),
    [
        ("https://x-access-token:secret@git.example/team/repo.git", "https://git.example/team/repo.git"),
        ("https://secret@git.example:8443/team/repo", "https://git.example:8443/team/repo"),
        ("git@git.example:team/repo.git", "git@git.example:team/repo.git"),
        ("/srv/repos/team", "/srv/repos/team"),
        ("https://[secret@git.example/", ""),
    ],
)
def test_an_origins_credentials_are_left_out(url: str, without: str, folder: Path) -> None:
    assert git.without_credentials(url) == without
    run_git(folder, "remote", "add", "origin", url)
    assert git.commit(git.repository(folder), "HEAD").repo == (without or str(folder))


def test_uncommitted_are_changed_new_and_deleted_files_of_the_part(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.tmp\n")
    commit(folder, {"part/gone": "", "part/deep/file": ""})
    (folder / "part/file").write_text("2")
    (folder / "part/new").write_text("")
    (folder / "part/ignored.tmp").write_text("")
    (folder / "part/gone").unlink()
    (folder / "outside").write_text("")
    assert set(git.uncommitted(git.repository(folder / "part"))) == {"part/file", "part/new", "part/gone"}


def test_files_are_read_as_they_were_committed(folder: Path) -> None:
    sha = commit(folder, {"part/file": "2"})
    (folder / "part/file").write_text("3")
    part = git.repository(folder / "part")
    assert git.read(part, sha, "file") == "2"
    assert git.read(part, f"{sha}~1", "file") == "1"
    assert git.read(part, sha, "pyproject.toml") is None


def test_equal_files_have_equal_trees(folder: Path) -> None:
    repo = git.repository(folder)
    first = git.tree(repo, "HEAD")
    commit(folder, {}, message="nothing")
    assert git.tree(repo, "HEAD") == first
    commit(folder, {"part/file": "2"})
    assert git.tree(repo, "HEAD") != first


def test_which_commit_is_newer(folder: Path) -> None:
    repo = git.repository(folder)
    older, newer = run_git(folder, "rev-parse", "HEAD"), commit(folder, {})
    assert git.is_ancestor(repo, older, newer) is True
    assert git.is_ancestor(repo, newer, older) is False
    assert git.is_ancestor(repo, "f" * 40, newer) is None


def test_submodules_are_named(folder: Path) -> None:
    assert git.submodules(git.repository(folder), "HEAD") == ()
    head = run_git(folder, "rev-parse", "HEAD")
    run_git(folder, "update-index", "--add", "--cacheinfo", f"160000,{head},part/lib of\tothers")
    run_git(folder, "commit", "-m", "with others")
    assert git.submodules(git.repository(folder / "part"), "HEAD") == ("part/lib of\tothers",)


def test_a_commit_is_exported_without_what_is_not_in_it(folder: Path, tmp_path: Path) -> None:
    sha = commit(folder, {"part/run.sh": "#!/bin/sh"})
    (folder / "part/run.sh").write_text("changed")
    (folder / "new").write_text("")
    git.export(git.repository(folder / "part"), sha, tmp_path / "out")
    files = {str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*") if f.is_file()}
    assert files == {"pyproject.toml", "part/file", "part/run.sh"}
    assert (tmp_path / "out/part/run.sh").read_text() == "#!/bin/sh"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "part/../../outside"])
def test_a_link_out_of_the_repository_is_refused(target: str, folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to(target)
    sha = commit(folder, {})
    with pytest.raises(UnsafeTree) as raised:
        git.export(git.repository(folder), sha, tmp_path / "out")
    assert "link" in raised.value.why


def test_a_link_inside_the_repository_is_exported(folder: Path, tmp_path: Path) -> None:
    (folder / "part" / "link").symlink_to("../pyproject.toml")
    git.export(git.repository(folder), commit(folder, {}), tmp_path / "out")
    assert (tmp_path / "out/part/link").read_text() == "at first"


def test_a_commit_that_git_cannot_read_whole_is_not_exported(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NoSuchCommit):
        git.export(git.repository(folder), "f" * 40, tmp_path / "out")


def test_a_made_repository_is_the_same_wherever_and_whenever_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    made = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "file").write_text("text\n")
        time = datetime(2000, 1, 1, tzinfo=UTC)
        git.make(folder, author="An Engineer", time=time, subject="-- a subject", origin=f"of {name}")
        made.append(git.commit(git.repository(folder), "HEAD"))
    assert made[0].sha == made[1].sha
    assert [commit.repo for commit in made] == ["of one", "of other"]
    assert (made[0].author, made[0].subject, made[0].time.year) == ("An Engineer", "-- a subject", 2000)
    assert git.uncommitted(git.repository(tmp_path / "one")) == ()


def test_a_committed_folder_that_looks_like_a_bare_repository_runs_nothing(tmp_path: Path) -> None:
    folder, ran = tmp_path / "repo" / "algorithm", tmp_path / "ran"
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(
        f'[core]\n\trepositoryformatversion = 0\n\tworktree = .\n\tfsmonitor = "touch {ran}; false"\n'
    )
    subprocess.run(["git", "init", "--quiet", str(folder.parent)], check=True)

    with contextlib.suppress(NotARepository):
        git.uncommitted(git.repository(folder))

    assert not ran.exists()
