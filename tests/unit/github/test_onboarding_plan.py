"""What onboarding adds to a repo, from the repo's files alone."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidAlgorithmName, InvalidValue, NoActivity, NotConfigured
from pipeline.github.onboarding_plan import Repo, derived_name, description, plan, with_table, workflow
from pipeline.models import ALGORITHM_NAME

ACTIVITY = "from temporalio import activity\n@activity.defn\ndef f() -> None: ...\n"
TOOLKIT = "acme/algorithm-conduit@v1"
CALLERS = {".github/workflows/conduit.yml", ".github/workflows/conduit-rollback.yml"}


def repo(branch: str = "main", **files: str) -> Repo:
    named = {
        path.replace("__", "/").replace("_py", ".py").replace("_toml", ".toml"): t
        for path, t in files.items()
    }
    return Repo(name="acme/Speaker_ID", default_branch=branch, files=named)


def test_a_repo_without_anything() -> None:
    planned = plan(repo(src__voices_py=ACTIVITY), TOOLKIT)
    assert (planned.algorithm, planned.activities) == ("speaker-id", ("voices",))
    assert set(planned.files) == CALLERS | {"pyproject.toml"}
    assert planned.kept == ()
    assert planned.files["pyproject.toml"] == (
        '[tool.conduit]\nalgorithm = "speaker-id"\nactivities = ["voices"]\n'
    )


def test_a_table_that_is_there_is_believed_and_kept() -> None:
    pyproject = '[tool.conduit]\nalgorithm = "voices"\n'
    planned = plan(repo(a_py=ACTIVITY, pyproject_toml=pyproject), TOOLKIT)
    assert planned.algorithm == "voices"
    assert set(planned.files) == CALLERS


def test_workflows_that_are_there_are_kept() -> None:
    files = {"a.py": ACTIVITY, ".github/workflows/conduit.yml": "theirs"}
    planned = plan(Repo(name="acme/x", default_branch="main", files=files), TOOLKIT)
    assert planned.kept == (".github/workflows/conduit.yml",)
    assert ".github/workflows/conduit.yml" not in planned.files
    assert "as it is" in description(planned)


def test_the_default_branch_is_the_one_that_is_released() -> None:
    text = plan(repo(branch="master", a_py=ACTIVITY), TOOLKIT).files[".github/workflows/conduit.yml"]
    assert '    branches: ["master"]\n' in text


@pytest.mark.parametrize(
    "branch", ['x"]\njobs: {', "a, b", "release/*", "!main", "$(id)", "${{ github.token }}"]
)
def test_a_branch_name_stays_a_name(branch: str) -> None:
    text = workflow("conduit.yml", TOOLKIT, branch=branch)
    assert len(text.splitlines()) == len(workflow("conduit.yml", TOOLKIT).splitlines())
    (line,) = (line for line in text.splitlines() if "branches:" in line)
    assert line.startswith('    branches: ["')
    assert line.endswith('"]')


def test_a_folder_is_passed_on_to_both_workflows() -> None:
    for file in ("conduit.yml", "conduit-rollback.yml"):
        text = workflow(file, TOOLKIT, path="algorithms/voice")
        assert text.count('    with:\n      path: "algorithms/voice"\n') == 1
        assert text.count("    with:\n") == 1


def test_the_toolkit_is_called_where_it_is() -> None:
    text = workflow("conduit.yml", "octo/toolkit@3f2a1b")
    assert "    uses: octo/toolkit/.github/workflows/conduit.yml@3f2a1b\n" in text
    assert "ORG/" not in text


@pytest.mark.parametrize(
    "toolkit", ["", "acme", "acme/x", "acme/x@", "acme/x@v1\nevil: 1", "a b/c@d", "acme/x@${{x}}"]
)
def test_an_address_that_is_none(toolkit: str) -> None:
    with pytest.raises(InvalidValue):
        workflow("conduit.yml", toolkit)


def test_a_repo_without_an_activity() -> None:
    with pytest.raises(NoActivity) as refused:
        plan(repo(a_py="import numpy\n", tests__test_a_py=ACTIVITY), TOOLKIT)
    assert "2 Python files" in refused.value.why


@pytest.mark.parametrize("pyproject", ["[tool", "tool = 1\n", "[[tool]]\n"])
def test_a_pyproject_that_cannot_take_the_table(pyproject: str) -> None:
    with pytest.raises(NotConfigured):
        plan(repo(a_py=ACTIVITY, pyproject_toml=pyproject), TOOLKIT)


def test_an_inline_table_cannot_be_added_to() -> None:
    with pytest.raises(NotConfigured):
        plan(repo(a_py=ACTIVITY, pyproject_toml="tool = {ruff = {line-length = 9}}\n"), TOOLKIT)


def test_a_name_in_the_table_that_temporal_would_not_take() -> None:
    with pytest.raises(InvalidAlgorithmName):
        plan(repo(a_py=ACTIVITY, pyproject_toml='[tool.conduit]\nalgorithm = "$(id)"\n'), TOOLKIT)


@given(st.text(min_size=1, max_size=100))
def test_a_derived_name_can_be_used(origin: str) -> None:
    try:
        name = derived_name(origin)
    except InvalidAlgorithmName:
        return
    assert ALGORITHM_NAME.fullmatch(name)


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("acme/Speaker_ID.v2", "speaker-id-v2"),
        ("acme/--x--", "x"),
        ("a/b/voice/", "voice"),
        ("acme/" + "x" * 99, "x" * 63),
    ],
)
def test_names_that_are_derived(origin: str, name: str) -> None:
    assert derived_name(origin) == name


@given(st.lists(st.from_regex(r"[^\W\d]\w*(\.[^\W\d]\w*)?", fullmatch=True), max_size=3))
def test_any_module_is_quoted(modules: list[str]) -> None:
    text = with_table('[project]\nname = "x"', "speaker-id", tuple(modules))
    assert text.startswith('[project]\nname = "x"\n\n[tool.conduit]\n')
    assert tomllib.loads(text)["tool"]["conduit"]["activities"] == modules
