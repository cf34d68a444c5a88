"""The scan for activity modules: what is found, under which name, and what is passed over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.discovery import activity_modules

ACTIVITY = (
    "from temporalio import activity\n\n@activity.defn\ndef identify(clip: str) -> str:\n    return clip\n"
)


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("src/speaker_id/activities.py", "speaker_id.activities"),
        ("speaker_id/activities.py", "speaker_id.activities"),
        ("activities.py", "activities"),
        ("src/activities.py", "activities"),
        ("speaker_id/__init__.py", "speaker_id"),
        ("src/speaker_id/deep/er/activities.py", "speaker_id.deep.er.activities"),
        ("speaker_id/examples/activities.py", "speaker_id.examples.activities"),
    ],
)
def test_layouts(path: str, module: str) -> None:
    assert activity_modules({path: ACTIVITY}) == (module,)


def test_a_src_that_is_a_package_keeps_its_name() -> None:
    assert activity_modules({"src/__init__.py": "", "src/activities.py": ACTIVITY}) == ("src.activities",)


@pytest.mark.parametrize(
    "path",
    [
        "tests/activities.py",
        "src/speaker_id/tests/activities.py",
        "speaker_id/test_activities.py",
        "speaker_id/activities_test.py",
        "conftest.py",
        "docs/activities.py",
        "examples/activities.py",
        "build/lib/speaker_id/activities.py",
        ".venv/lib/python3.11/site-packages/speaker_id/activities.py",
        "my-scripts/activities.py",
        "speaker_id/activities.txt",
        "__init__.py",
    ],
)
def test_what_no_worker_imports_is_passed_over(path: str) -> None:
    assert activity_modules({path: ACTIVITY}) == ()


@pytest.mark.parametrize(
    "source",
    [
        "from temporalio import activity\n@activity.defn(name='identify')\nasync def f() -> None: ...",
        "from temporalio import activity as act\n@act.defn\ndef f() -> None: ...",
        "from temporalio.activity import defn\n@defn\ndef f() -> None: ...",
        "from temporalio.activity import defn as task\n@task(name='x')\ndef f() -> None: ...",
        "import temporalio.activity\n@temporalio.activity.defn\ndef f() -> None: ...",
        "import temporalio.activity as act\n@act.defn\ndef f() -> None: ...",
        "import temporalio as t\n@t.activity.defn\ndef f() -> None: ...",
        "from temporalio import activity\n@other\n@activity.defn\ndef f() -> None: ...",
        "from temporalio import activity\nif True:\n    @activity.defn\n    def f() -> None: ...",
        "from temporalio import activity\ntry:\n    import numpy\nexcept ImportError:\n"
        "    @activity.defn\n    def f() -> None: ...",
    ],
)
def test_spellings(source: str) -> None:
    assert activity_modules({"a.py": source}) == ("a",)


@pytest.mark.parametrize(
    "source",
    [
        "from temporalio import workflow\n@workflow.defn\nclass W: ...",
        "from ours import activity  # not temporalio\n@activity.defn\ndef f() -> None: ...",
        "from . import activity  # not temporalio\n@activity.defn\ndef f() -> None: ...",
        "from temporalio import activity\nclass A:\n    @activity.defn\n    def f(self) -> None: ...",
        "from temporalio import activity\ndef outer():\n    @activity.defn\n    def f() -> None: ...",
        "from temporalio import activity\n'@activity.defn'\ndef f() -> None: ...",
        "from temporalio import activity\n@activity.defn\ndef f( -> None: ...",
        "from temporalio import activity\n\0@activity.defn\ndef f() -> None: ...",
        "from temporalio import activity\n" + "(" * 5000,
    ],
)
def test_what_is_no_activity_a_worker_finds(source: str) -> None:
    assert activity_modules({"a.py": source}) == ()


def test_the_answer_is_sorted_and_broken_files_do_not_hide_others() -> None:
    files = {"z.py": ACTIVITY, "a.py": ACTIVITY, "m.py": "def ("}
    assert activity_modules(files) == ("a", "z")


PATHS = st.lists(
    st.sampled_from(["src", "tests", "a", "b-c", "1", "class", ".", "é", "__init__"]), min_size=1
)


@given(path=PATHS.map(lambda parts: "/".join(parts) + ".py"), before=st.text(), after=st.text())
def test_any_file_is_scanned_and_any_name_found_can_be_imported(path: str, before: str, after: str) -> None:
    for module in activity_modules({path: before + ACTIVITY + after}):
        assert all(part.isidentifier() for part in module.split("."))
