from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.build import environment
from pipeline.build.environment import (
    HOST_REQUIREMENTS,
    TEST_REQUIREMENTS,
    Source,
    _missing,
    _pins,
    declaration,
    is_package,
    plan,
)
from pipeline.errors import NoDependencies
from tests.parts.repos import CONFIGURED, PROJECT, write

TREE = "a" * 40
PINNED = """\
annotated-types==0.7.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
Pydantic_Core[extra]==2.33.2 ; python_version >= '3.11' \\
    --hash=sha256:cc
# a comment
model @ https://packages.example/model-1.0-py3-none-any.whl \\
    --hash=sha256:dd
"""


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"pyproject.toml": PROJECT, "uv.lock": "", "requirements.txt": ""}, Source.LOCK),
        ({"pyproject.toml": PROJECT, "requirements.txt": ""}, Source.PROJECT),
        ({"pyproject.toml": CONFIGURED, "requirements.txt": ""}, Source.REQUIREMENTS),
        ({"requirements.txt": ""}, Source.REQUIREMENTS),
    ],
)
def test_the_strictest_declaration_wins(files: Mapping[str, str], source: Source, tmp_path: Path) -> None:
    write(tmp_path, files)
    assert plan(tmp_path, tests=False).source is source


def test_a_repo_that_declares_nothing_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": CONFIGURED})
    with pytest.raises(NoDependencies):
        plan(tmp_path, tests=False)


def test_a_workspaces_lock_counts_for_its_members(tmp_path: Path) -> None:
    workspace = '[tool.uv.workspace]\nmembers = ["teams/*"]\n'
    write(tmp_path, {"pyproject.toml": workspace, "uv.lock": "", "teams/audio/pyproject.toml": PROJECT})
    assert plan(tmp_path / "teams" / "audio", tests=False).source is Source.LOCK


def test_a_lock_above_that_is_no_workspaces_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": PROJECT, "uv.lock": "", "teams/audio/pyproject.toml": PROJECT})
    assert plan(tmp_path / "teams" / "audio", tests=False).source is Source.PROJECT


@pytest.mark.parametrize(
    "workspace",
    [
        '[tool.uv.workspace]\nmembers = ["libraries/*"]\n',
        '[tool.uv.workspace]\nmembers = ["teams/*"]\nexclude = ["teams/audio"]\n',
        "[tool.uv.workspace]\n",
        "tool = 1\n",
        "[tool.uv.workspace]\nmembers = 1\n",
        '[tool.uv.workspace]\nmembers = ["/", ""]\n',
        "no TOML",
    ],
)
def test_the_lock_of_a_workspace_that_the_project_is_not_of_does_not_count(
    workspace: str, tmp_path: Path
) -> None:
    write(tmp_path, {"pyproject.toml": workspace, "uv.lock": "", "teams/audio/pyproject.toml": PROJECT})
    assert plan(tmp_path / "teams" / "audio", tests=False).source is Source.PROJECT


def test_what_lies_deeper_among_the_requirements_decides_too(tmp_path: Path) -> None:
    write(tmp_path, {"requirements/base.txt": "-r old/base.txt", "requirements/old/base.txt": "numpy"})
    first = declaration(tmp_path, TREE)
    write(tmp_path, {"requirements/old/base.txt": "numpy<2"})
    assert declaration(tmp_path, TREE) != first


def test_what_tests_need_is_in_their_environment_alone(tmp_path: Path) -> None:
    declared = PROJECT + "[project.optional-dependencies]\ntest = []\ngpu = []\n"
    groups = "[dependency-groups]\ndev = []\ndocs = []\n"
    write(
        tmp_path,
        {"pyproject.toml": declared + groups, "requirements-dev.txt": "", "requirements/test.txt": ""},
    )
    tested = plan(tmp_path, tests=True)
    assert tested.groups == ("dev",)
    assert tested.extras == ("test",)
    assert tested.files == ("requirements-dev.txt", "requirements/test.txt")
    assert tested.added == TEST_REQUIREMENTS
    built = plan(tmp_path, tests=False)
    assert (built.groups, built.extras, built.files) == ((), (), ())
    assert built.added == HOST_REQUIREMENTS


@pytest.mark.parametrize(
    ("files", "package"),
    [
        ({"pyproject.toml": PROJECT}, False),
        ({"pyproject.toml": PROJECT + "[build-system]\nrequires = []\n"}, True),
        ({"pyproject.toml": PROJECT + "[build-system]\nrequires = []\n[tool.uv]\npackage = false\n"}, False),
        ({"pyproject.toml": PROJECT + "[tool.uv]\npackage = true\n"}, True),
        ({"requirements.txt": "", "setup.py": ""}, True),
        ({"requirements.txt": ""}, False),
    ],
)
def test_a_package_is_what_uv_calls_one(files: Mapping[str, str], package: bool, tmp_path: Path) -> None:
    write(tmp_path, files)
    assert is_package(tmp_path) is package


def _declared(folder: Path, files: Mapping[str, str], tree: str = TREE) -> str:
    write(folder, files)
    return declaration(folder, tree)


def test_code_does_not_decide_the_dependencies(tmp_path: Path) -> None:
    first = _declared(tmp_path, {"pyproject.toml": PROJECT, "activities.py": "1"})
    assert _declared(tmp_path, {"activities.py": "2", "README.md": "new"}, tree="b" * 40) == first


@pytest.mark.parametrize(
    "name",
    [
        "pyproject.toml",
        "uv.lock",
        "requirements.txt",
        "requirements-dev.txt",
        "requirements/base.in",
        ".python-version",
    ],
)
def test_each_declaring_file_decides(name: str, tmp_path: Path) -> None:
    first = _declared(tmp_path, {"pyproject.toml": PROJECT})
    assert _declared(tmp_path, {name: PROJECT + "# changed\n"}) != first


def test_a_workspaces_lock_decides(tmp_path: Path) -> None:
    member = tmp_path / "member"
    write(
        tmp_path,
        {
            "pyproject.toml": "[tool.uv.workspace]\nmembers = ['member']\n",
            "uv.lock": "1",
            "member/pyproject.toml": PROJECT,
        },
    )
    first = declaration(member, TREE)
    write(tmp_path, {"uv.lock": "2"})
    assert declaration(member, TREE) != first


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "-e ./shared\n"},
        {"requirements.txt": "../common\n"},
        {"requirements.txt": "shared @ file:///shared\n"},
        {"requirements.txt": "numpy\nlibraries/common\n"},
        {"requirements.txt": "common @ ./libraries/common\n"},
        {"pyproject.toml": '[project]\nname = "one"\ndynamic = ["version", "dependencies"]\n'},
        {"pyproject.toml": '[tool.uv.sources]\ncommon = { path = "../common" }\n'},
        {"pyproject.toml": "[tool.uv.sources]\ncommon = { workspace = true }\n"},
    ],
)
def test_a_local_dependency_makes_every_change_of_the_tree_count(
    files: Mapping[str, str], tmp_path: Path
) -> None:
    assert _declared(tmp_path, files) != _declared(tmp_path, files, tree="b" * 40)


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"requirements.txt": "-r deployed/base.txt\n"}, "deployed/base.txt"),
        ({"requirements.txt": "-c constraints.txt\n"}, "constraints.txt"),
        ({"requirements.txt": "numpy\n--constraint=pins.txt # ours\n"}, "pins.txt"),
        (
            {"requirements.txt": "-r one/a.txt\n", "one/a.txt": "-r ../two/b.txt\n-r a.txt\n"},
            "two/b.txt",
        ),
        ({"requirements.txt": "-r ../above.txt\n"}, "../above.txt"),
    ],
)
def test_what_a_requirements_file_names_decides_too(
    files: Mapping[str, str], named: str, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    first = _declared(project, {**files, named: "numpy"})
    assert _declared(project, {named: "numpy<2"}) != first


def test_a_git_dependency_is_not_taken_for_a_local_one(tmp_path: Path) -> None:
    files = {"requirements.txt": "common @ git+ssh://git@example.org/common@1.0\nnumpy # a/b\n"}
    assert _declared(tmp_path, files) == _declared(tmp_path, files, tree="b" * 40)


def test_pins_are_found_by_canonical_name_with_their_hashes() -> None:
    pins = _pins(PINNED)
    assert list(pins) == ["annotated-types", "pydantic-core", "model"]
    assert pins["annotated-types"].endswith("--hash=sha256:bb")
    assert "sha256:dd" not in pins["pydantic-core"]


def test_only_what_the_pins_lack_is_added() -> None:
    wanted = ("annotated-types>=0.7", "pydantic-core>=3", "model>=9", "pytest")
    assert _missing(wanted, PINNED) == ("pydantic-core>=3", "pytest")


def test_a_python_that_changed_behind_its_name_gets_another_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "requirements.txt").write_text("")
    python = tmp_path / "python3"
    monkeypatch.setattr(environment._Uv, "interpreter", lambda _: str(python))
    monkeypatch.setattr(environment, "_make", lambda tool, planned, folder, base: folder.mkdir(exist_ok=True))
    keys = []
    for version in ("python3.11", "python3.13", "python3.13"):
        (tmp_path / version).touch()
        python.unlink(missing_ok=True)
        python.symlink_to(version)
        keys.append(environment.prepare(tmp_path / "project", "tree", tmp_path / "home", {}).key)
    assert keys[0] != keys[1] == keys[2]


def test_an_environment_that_could_not_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tool: object, planned: object, folder: Path, base: str) -> None:
        (folder / "venv").mkdir(parents=True)
        raise KeyboardInterrupt

    (tmp_path / "requirements.txt").write_text("")
    monkeypatch.setattr(environment._Uv, "interpreter", lambda _: "python3")
    monkeypatch.setattr(environment, "_make", full)
    with pytest.raises(KeyboardInterrupt):
        environment.prepare(tmp_path, "tree", tmp_path / "home", {})
    assert not [left for left in (tmp_path / "home" / "environments").iterdir() if left.is_dir()]
