"""Local builds, with uv, real packages and the real worker host."""

import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline import errors, verify
from pipeline.build import local
from pipeline.models import Build, Environment
from pipeline.project import Project, at_commit
from tests.parts.repos import ACTIVITY, CONFIGURED, FILES, FIVE, PROJECT, commit, make_repo

BUILD_SYSTEM = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


@pytest.fixture
def research(tmp_path: Path) -> Callable[[Mapping[str, str]], Project]:
    """Commit files to a new repo."""

    def research(files: Mapping[str, str]) -> Project:
        make_repo(tmp_path / "repo", files)
        return at_commit(tmp_path / "repo", None)

    return research


Research = Callable[[Mapping[str, str]], Project]


def build(project: Project, home: Path) -> Build:
    return local.build(project, home, os.environ)


def environment_of(record: Build) -> Environment:
    assert isinstance(record.artifact, Environment)
    return record.artifact


def activities(record: Build) -> list[str]:
    return [activity.name for activity in record.contract.activities]


def test_a_second_build_of_a_commit_is_the_first(research: Research, home: Path) -> None:
    project = research(FILES)
    record = build(project, home)
    folder = environment_of(record).source
    made = folder.stat().st_ctime_ns
    assert build(project, home) == record
    assert folder.stat().st_ctime_ns == made


def test_the_same_commit_has_the_same_id_in_another_home(
    research: Research, home: Path, tmp_path: Path
) -> None:
    project = research(FILES)
    (tmp_path / "other").mkdir()
    (home / "environments").mkdir(parents=True, exist_ok=True)
    (tmp_path / "other" / "environments").symlink_to(home / "environments")
    assert build(project, tmp_path / "other").build_id == build(project, home).build_id


def test_a_commit_of_code_alone_reuses_the_environment(
    research: Research, home: Path, tmp_path: Path
) -> None:
    first = build(research(FILES), home)
    commit(tmp_path / "repo", {"activities.py": FIVE})
    second = build(at_commit(tmp_path / "repo", None), home)
    assert environment_of(second).python == environment_of(first).python
    assert second.build_id != first.build_id


def test_a_build_whose_environment_was_cleared_away_is_built_again(
    research: Research, tmp_path: Path
) -> None:
    project = research(FILES)
    first = build(project, tmp_path / "home")
    shutil.rmtree(tmp_path / "home" / "environments")
    assert local.find(project, tmp_path / "home") is None
    assert build(project, tmp_path / "home") == first
    assert environment_of(first).python.exists()


def test_a_record_that_another_toolkit_wrote_is_written_anew(
    research: Research, home: Path, tmp_path: Path
) -> None:
    project = research(FILES)
    first = build(project, home)
    record = home / "builds" / "measure" / first.build_id / local.RECORD
    record.write_text('{"of": "another toolkit"}')
    assert local.find(project, home) is None
    assert build(project, home) == first == local.find(project, home)


def test_what_two_clearings_at_once_left_of_a_build_is_no_build(research: Research, home: Path) -> None:
    project = research(FILES)
    record = build(project, home)
    folder = environment_of(record).source.parent
    shutil.rmtree(folder)
    (folder / "workers").mkdir(parents=True)
    (folder / "workers" / "lock").touch()
    assert build(project, home) == record
    assert environment_of(record).source.exists()


def test_two_builds_at_once_are_one(research: Research, home: Path) -> None:
    project = research(FILES)
    with ThreadPoolExecutor() as together:
        one, other = together.map(lambda _: build(project, home), range(2))
    assert one == other == local.find(project, home)


def test_a_new_dependency_makes_a_new_environment(research: Research, home: Path, tmp_path: Path) -> None:
    first = build(research(FILES), home)
    more = FILES["pyproject.toml"].replace('["temporalio"]', '["temporalio", "iniconfig"]')
    commit(tmp_path / "repo", {"pyproject.toml": more, "activities.py": "import iniconfig\n" + ACTIVITY})
    second = build(at_commit(tmp_path / "repo", None), home)
    assert environment_of(second).python != environment_of(first).python


UNTYPED = ACTIVITY.replace("(clip: Clip)", "(clip)")
TWICE = (
    ACTIVITY
    + '\n\n@activity.defn(name="measure")\ndef again(clip: Clip) -> Level:\n    return measure(clip)\n'
)
UNRESOLVABLE = PROJECT.replace('["temporalio"]', '["temporalio", "temporalio<1"]')
FAILURES = {
    "does not import": (
        {"activities.py": "import no_such_module\n" + ACTIVITY},
        errors.ImportFailed,
        "no_such_module",
    ),
    "sys.exit at import": (
        {"activities.py": "raise SystemExit(0)\n" + ACTIVITY},
        errors.ImportFailed,
        "SystemExit",
    ),
    "the interpreter ends": (
        {"activities.py": "import os\nprint('last words', flush=True)\nos._exit(0)\n" + ACTIVITY},
        errors.ImportFailed,
        "last words",
    ),
    "hides the worker host": ({"pipeline.py": ""}, errors.ImportFailed, "'pipeline'"),
    "no activity": ({"activities.py": "import temporalio\n"}, errors.NoActivity, "@activity.defn"),
    "two of one name": ({"activities.py": TWICE}, errors.DuplicateActivity, "activities.again"),
    "untyped": ({"activities.py": UNTYPED}, errors.UntypedActivity, "without a type"),
    "unresolvable": (
        {"pyproject.toml": UNRESOLVABLE + CONFIGURED},
        errors.EnvironmentFailed,
        "temporalio<1",
    ),
    "a backend that fails": (
        {"pyproject.toml": BUILD_SYSTEM + PROJECT + CONFIGURED},
        errors.EnvironmentFailed,
        "Unable to determine which files to ship",
    ),
    "no dependencies": ({"pyproject.toml": CONFIGURED}, errors.NoDependencies, "requirements.txt"),
}


@pytest.mark.parametrize(("changed", "error", "said"), FAILURES.values(), ids=FAILURES)
def test_what_cannot_be_built_says_why(
    changed: Mapping[str, str],
    error: type[errors.ConduitError],
    said: str,
    research: Research,
    home: Path,
) -> None:
    project = research({**FILES, **changed})
    with pytest.raises(error) as raised:
        build(project, home)
    told = raised.value
    assert said in told.what + told.why + told.log
    assert told.now
    assert local.find(project, home) is None
    assert not list((home / "builds" / "measure").glob(".staging-*"))


def test_an_import_that_never_ends_is_stopped(research: Research, home: Path) -> None:
    slow = FILES["pyproject.toml"] + 'start-timeout = "2s"\n'
    project = research({"pyproject.toml": slow, "activities.py": "while True:\n    pass\n" + ACTIVITY})
    with pytest.raises(errors.ImportFailed, match="did not finish"):
        build(project, home)


def with_tests(text: str, *, test: str = "") -> dict[str, str]:
    """A repo's files with a test module, and a line for its configuration."""
    return {**FILES, "pyproject.toml": FILES["pyproject.toml"] + test, "test_measure.py": text}


def test_passing_tests_leave_nothing_in_the_build(research: Research, home: Path) -> None:
    writes = "from pathlib import Path\n\n\ndef test_it():\n    Path('left.txt').write_text('over')\n"
    project = research(with_tests(writes))
    assert "1 passed" in verify.run_tests(project, home, os.environ).tests
    assert not (environment_of(build(project, home)).source / "left.txt").exists()


def test_failing_tests_show_their_output(research: Research, home: Path) -> None:
    project = research(with_tests("def test_it():\n    assert 'the measured peak' == ''\n"))
    with pytest.raises(errors.TestsFailed) as raised:
        verify.run_tests(project, home, os.environ)
    assert "the measured peak" in raised.value.log


def test_the_tests_see_no_credential(research: Research, home: Path) -> None:
    looks = "import os\n\n\ndef test_it():\n    assert 'TEMPORAL_API_KEY' not in os.environ\n"
    project = research(with_tests(looks))
    environment = {**os.environ, "TEMPORAL_API_KEY": "secret"}
    assert "1 passed" in verify.run_tests(project, home, environment).tests


def test_a_test_command_that_is_not_there(research: Research, home: Path) -> None:
    project = research(with_tests("", test='test = ["no-such-runner"]\n'))
    with pytest.raises(errors.TestsFailed, match="no-such-runner"):
        verify.run_tests(project, home, os.environ)


def test_with_tests_hang_are_stopped(research: Research, home: Path) -> None:
    project = research(with_tests("", test='test = ["python", "-c", "while True: pass"]\n'))
    with pytest.raises(errors.TestsFailed, match="did not end"):
        verify.run_tests(project, home, os.environ, timeout=1)


@pytest.mark.parametrize(("test", "said"), [("", "the repo has no tests"), ("test = []\n", "no tests")])
def test_a_repo_without_tests_says_so(test: str, said: str, research: Research, home: Path) -> None:
    project = research({**FILES, "pyproject.toml": FILES["pyproject.toml"] + test})
    assert said in verify.run_tests(project, home, os.environ).tests
