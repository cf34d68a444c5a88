import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from copier import run_copy
from hypothesis import given
from hypothesis import strategies as st

from pipeline import errors
from pipeline.commands.new import new
from pipeline.github.onboarding_plan import workflow
from pipeline.models import algorithm_name
from pipeline.scaffold import improve, package_name, render, suggest_name
from pipeline.shipped import shipped

LEFTOVER = re.compile(r"\{\{|\}\}|\{%|%\}")
EXPRESSION = re.compile(r"\$\{\{ [\w.-]+ \}\}")  # GitHub's own
HOSTILE_NAMES = [
    "",
    "-",
    "speaker-",
    "-rf",
    "Speaker-ID",
    "speaker_id",
    "speaker id",
    "speaker\nid",
    "speaker-id\n",
    "a" * 64,
    "..",
    "../speaker-id",
    "a/b",
    'a"b',
    "a: b",
    "a#b",
    "a'b",
    "$(id)",
    "`id`",
    "a;id",
    "a|b",
    "{{algorithm}}",
    "{% raw %}",
    "été",
    "名前",
]

RENDER_WITH_FILES_OF_4_KB_AT_MOST = """
import pathlib, resource, sys
from pipeline.scaffold import render
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
render("voice", pathlib.Path(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def git_identity(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git configuration that is the test's own, whatever the machine's is."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text("[user]\nname = Ada\nemail = ada@example.org\nuseConfigOnly = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    return config


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repo that tests read and do not change; made before a test's own git configuration is."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
            patch.setenv(f"{name}_NAME", "Ada")
            patch.setenv(f"{name}_EMAIL", "ada@example.org")
        return render("voice-2", tmp_path_factory.mktemp("rendered") / "voice-2", organisation="acme").folder


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def texts(repo: Path) -> dict[Path, str]:
    files = [
        path for path in repo.rglob("*") if path.is_file() and ".git" not in path.relative_to(repo).parts
    ]
    return {path.relative_to(repo): path.read_text() for path in files if path.suffix != ".wav"}


class TestWhatIsRendered:
    def test_no_template_syntax_is_left(self, rendered: Path) -> None:
        files = texts(rendered)
        assert Path("pyproject.toml") in files
        assert Path("src/voice_2/model.py") in files
        assert not [
            path for path, text in files.items() if LEFTOVER.search(EXPRESSION.sub("", f"{path}\n{text}"))
        ]
        assert not [path for path in files if path.suffix == ".jinja"]

    def test_the_project_file_configures_the_conduit(self, rendered: Path) -> None:
        project = tomllib.loads((rendered / "pyproject.toml").read_text())
        assert project["tool"]["conduit"] == {
            "algorithm": "voice-2",
            "activities": ["voice_2.activities"],
            "setup": "voice_2.model:load",
        }
        assert project["project"]["name"] == "voice-2"

    @pytest.mark.parametrize("file", ["conduit.yml", "conduit-rollback.yml"])
    def test_the_workflows_are_those_that_onboarding_adds(self, rendered: Path, file: str) -> None:
        added = workflow(file, "acme/algorithm-conduit@v1")
        assert (rendered / ".github" / "workflows" / file).read_text() == added

    def test_all_clips_are_there_byte_for_byte(self, rendered: Path) -> None:
        def clips(folder: Path) -> set[str]:
            return {hashlib.sha256(clip.read_bytes()).hexdigest() for clip in folder.rglob("*.wav")}

        assert clips(rendered) == clips(shipped("activity_template"))
        assert len(list((rendered / "src" / "voice_2" / "enrolled").iterdir())) == 4
        assert len(list((rendered / "tests" / "clips").iterdir())) == 8

    def test_the_example_is_a_call_of_the_activity(self, rendered: Path) -> None:
        example = json.loads((rendered / "examples" / "alice.json").read_text())
        assert set(example) == {"activity", "input", "output", "tolerance"}
        assert f"def {example['activity']}(" in (rendered / "src" / "voice_2" / "activities.py").read_text()

    def test_it_is_committed_on_main(self, rendered: Path) -> None:
        assert git(rendered, "branch", "--show-current") == "main"
        assert git(rendered, "status", "--porcelain") == ""
        assert git(rendered, "rev-list", "--count", "HEAD") == "1"

    @pytest.mark.parametrize("model", ["the template's", "the better one"])
    @pytest.mark.parametrize(
        "check",
        [
            ["ruff", "check", "--no-cache"],
            ["ruff", "format", "--check", "--no-cache"],
        ],
        ids=["ruff check", "ruff format"],
    )
    def test_the_code_is_clean(self, tmp_path: Path, model: str, check: list[str]) -> None:
        repo = render("voice-2", tmp_path / "voice-2").folder
        if model == "the better one":
            improve(repo)
        done = subprocess.run(
            [sys.executable, "-m", *check], cwd=repo, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


class TestNames:
    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_a_name_that_needs_quoting_somewhere_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(errors.InvalidAlgorithmName) as refusal:
            render(name, tmp_path / "repo")
        assert "conduit new " in refusal.value.now
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["", "-rf", "speaker id", "speaker-id\n", "$(id)", "{{ algorithm }}"])
    def test_the_template_refuses_it_by_itself_too(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValueError, match="algorithm"):
            run_copy(
                str(shipped("activity_template")),
                tmp_path / "repo",
                data={"algorithm": name, "package": "voice"},
                defaults=True,
                quiet=True,
            )
        assert not list(tmp_path.iterdir())

    @given(st.text())
    def test_the_suggested_name_is_always_valid(self, name: str) -> None:
        suggestion = suggest_name(name)
        assert algorithm_name(suggestion) == suggestion

    @pytest.mark.parametrize(
        ("name", "suggestion"),
        [
            ("Speaker_ID", "speaker-id"),
            ("  Été 2 ", "ete-2"),
            ("名前", "speaker-id"),
            ("a" * 62 + "--b", "a" * 62),
        ],
    )
    def test_the_suggested_name_is_near_to_what_was_typed(self, name: str, suggestion: str) -> None:
        assert suggest_name(name) == suggestion

    @pytest.mark.parametrize(
        ("algorithm", "package"),
        [
            ("speaker-id", "speaker_id"),
            ("a", "a"),
            ("a--b", "a__b"),
            ("3voices", "algorithm_3voices"),
            ("class", "algorithm_class"),
            ("wave", "algorithm_wave"),
            ("numpy", "algorithm_numpy"),
            ("nexus-rpc", "algorithm_nexus_rpc"),
            ("pipeline", "algorithm_pipeline"),
        ],
    )
    def test_the_package_can_be_imported_and_hides_no_other(self, algorithm: str, package: str) -> None:
        assert package_name(algorithm) == package

    @given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True))
    def test_every_algorithm_has_a_package(self, algorithm: str) -> None:
        assert package_name(algorithm).isidentifier()

    def test_an_awkward_name_is_told_apart_from_its_package(self, tmp_path: Path) -> None:
        made = render("numpy", tmp_path / "numpy")
        project = tomllib.loads((made.folder / "pyproject.toml").read_text())
        assert project["tool"]["conduit"]["algorithm"] == "numpy"
        assert project["project"]["name"] == "algorithm-numpy"
        assert (made.folder / "src" / "algorithm_numpy" / "model.py").is_file()

    @pytest.mark.parametrize(
        "organisation", ["", "a b", "a/b", "-a", "a-", "a\n", "{{ a }}", "a" * 40, "${{ x }}"]
    )
    def test_an_impossible_organisation_is_refused(self, tmp_path: Path, organisation: str) -> None:
        with pytest.raises(errors.InvalidValue):
            render("voice", tmp_path / "voice", organisation=organisation)
        assert not list(tmp_path.iterdir())

    def test_the_users_own_copier_defaults_do_not_get_in(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = tmp_path / "settings.yml"
        settings.write_text(
            "defaults: {package: not_asked_for, organisation: not_asked_for, python: '3.8'}\n"
        )
        monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
        made = render("voice", tmp_path / "voice")
        assert not [path for path, text in texts(made.folder).items() if "not_asked_for" in f"{path}{text}"]


class TestDestination:
    def test_an_empty_folder_is_filled(self, tmp_path: Path) -> None:
        (tmp_path / "voice").mkdir()
        assert (render("voice", tmp_path / "voice").folder / "pyproject.toml").is_file()

    def test_missing_parents_are_made(self, tmp_path: Path) -> None:
        assert render("voice", tmp_path / "a" / "b" / "voice").folder == tmp_path / "a" / "b" / "voice"

    def test_a_relative_folder_is_one_of_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert render("voice", Path("voice")).folder == tmp_path / "voice"

    def test_nothing_else_is_left_beside_it(self, tmp_path: Path) -> None:
        render("voice", tmp_path / "voice")
        assert [path.name for path in tmp_path.iterdir()] == ["voice"]

    @pytest.mark.parametrize("there", ["file", "full folder", "dangling link"])
    def test_what_is_there_is_kept(self, tmp_path: Path, there: str) -> None:
        destination = tmp_path / "voice"
        if there == "file":
            destination.write_text("mine")
        elif there == "full folder":
            destination.mkdir()
            (destination / "notes.txt").write_text("mine")
        else:
            destination.symlink_to(tmp_path / "nowhere")
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(errors.DestinationExists):
            render("voice", destination)
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_name_too_long_for_the_file_system_is_told_of(self, tmp_path: Path) -> None:
        with pytest.raises(errors.DestinationNotWritable, match="cannot be made"):
            render("voice", tmp_path / ("long" * 100))

    def test_nothing_half_made_is_left_when_the_disk_takes_no_more(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", RENDER_WITH_FILES_OF_4_KB_AT_MOST, str(tmp_path / "voice")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "DestinationNotWritable" in done.stderr
        assert not list(tmp_path.iterdir())

    def test_a_file_in_the_way_of_a_parent_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        with pytest.raises(errors.DestinationNotWritable) as refusal:
            render("voice", tmp_path / "file" / "voice")
        assert "file" in refusal.value.why


class TestFirstCommit:
    def test_it_is_the_users(self, tmp_path: Path) -> None:
        made = render("voice", tmp_path / "voice")
        assert made.commit == git(made.folder, "rev-parse", "HEAD")
        assert git(made.folder, "log", "--format=%an <%ae>") == "Ada <ada@example.org>"

    def test_without_an_identity_the_files_are_there_and_the_reason_is_told(
        self, tmp_path: Path, git_identity: Path
    ) -> None:
        git_identity.write_text("[user]\nuseConfigOnly = true\n")
        made = render("voice", tmp_path / "voice")
        assert made.commit is None
        assert "user.email" in made.no_commit_because
        assert git(made.folder, "diff", "--cached", "--name-only")

    def test_without_git_the_files_are_there_and_the_reason_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        made = render("voice", tmp_path / "voice")
        assert (made.commit, made.no_commit_because) == (None, "git is not installed.")
        assert (made.folder / "pyproject.toml").is_file()

    def test_inside_a_repository_it_is_left_to_be_committed_there(self, tmp_path: Path) -> None:
        git(tmp_path, "init")
        made = render("voice", tmp_path / "algorithms" / "voice")
        assert made.commit is None
        assert "repository already" in made.no_commit_because
        assert not (made.folder / ".git").exists()
        assert "algorithms/" in git(tmp_path, "status", "--porcelain")

    def test_in_an_ignored_folder_of_a_repository_it_is_a_repository_of_its_own(self, tmp_path: Path) -> None:
        git(tmp_path, "init")
        (tmp_path / ".gitignore").write_text("/scratch/\n")
        assert render("voice", tmp_path / "scratch" / "voice").commit

    def test_the_repository_of_a_running_git_hook_is_not_touched(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        git(tmp_path, "init", "--bare", "theirs")
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs"))
        monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
        made = render("voice", tmp_path / "voice")
        monkeypatch.undo()
        assert made.commit == git(made.folder, "rev-parse", "HEAD")
        assert git(tmp_path / "theirs", "for-each-ref") == ""
        assert not (tmp_path / "index").exists()


class TestImprove:
    def test_the_model_alone_changes_and_is_not_committed(self, tmp_path: Path) -> None:
        made = render("voice", tmp_path / "voice")
        changed = improve(made.folder)
        assert changed == made.folder / "src" / "voice" / "model.py"
        assert git(made.folder, "status", "--porcelain") == "M src/voice/model.py"

    def test_another_repo_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "src" / "other").mkdir(parents=True)
        (tmp_path / "src" / "other" / "model.py").write_text("mine")
        with pytest.raises(errors.NotConfigured):
            improve(tmp_path)
        assert (tmp_path / "src" / "other" / "model.py").read_text() == "mine"


class TestCommand:
    def test_the_repo_is_made_inside_the_folder_named(self, tmp_path: Path) -> None:
        made = new("voice", tmp_path / "my work")
        assert made.repo.folder == tmp_path / "my work" / "voice"
        assert made.next_steps[0] == f"cd '{made.repo.folder}'"
        assert "conduit deliver" in made.next_steps[-1]
        assert not [step for step in made.next_steps if step.startswith("git")]

    def test_the_repo_is_made_here_by_default(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert new("voice").repo.folder == tmp_path / "voice"

    def test_where_no_commit_was_made_that_is_the_next_step(self, tmp_path: Path) -> None:
        git(tmp_path, "init")
        assert new("voice", tmp_path).next_steps[1].startswith("git add . && git commit")
