"""The step that moves the tag which callers pin, as it stands in the workflow file; a stand-in answers for `gh`."""

import subprocess
from pathlib import Path

from tests.parts.workflow_files import job, steps

GH = """#!/bin/sh
echo "$*" >>"$ASKED"
case "$*" in
  "release view"*) test -n "$RELEASED" ;;
  *matching-refs*) printf '%s\\n' $TAGS ;;
esac
"""


def move(folder: Path, tag: str, *tags: str, released: bool = False) -> tuple[list[str], str]:
    """What was asked of `gh`, and what the summary says."""
    program, asked, summary = folder / "gh", folder / "asked", folder / "summary"
    program.write_text(GH)
    program.chmod(0o755)
    asked.write_text("")
    summary.write_text("")
    environment = {
        "PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin",
        "ASKED": str(asked),
        "RELEASED": "yes" if released else "",
        "TAGS": " ".join(f"refs/tags/{each}" for each in tags),
        "GITHUB_REF_NAME": tag,
        "GITHUB_REPOSITORY": "acme/algorithm-conduit",
        "GITHUB_SHA": "f" * 40,
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    [step] = steps(job("release", "move"))
    command = ["bash", "--noprofile", "--norc", "-e", "-c", step["run"]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return asked.read_text().splitlines(), summary.read_text()


def moved(asked: list[str]) -> bool:
    return any("PATCH" in call and call.endswith("force=true") for call in asked)


def test_the_newest_version_is_released_and_gets_the_tag(tmp_path: Path) -> None:
    asked, summary = move(tmp_path, "v1.10.0", "v1.9.0", "v1.10.0", "v1.11.0-rc1")
    assert any(call.startswith("release create v1.10.0 ") for call in asked)
    assert moved(asked)
    assert summary == ""


def test_a_run_that_broke_off_before_the_tag_was_moved_goes_on(tmp_path: Path) -> None:
    asked, _ = move(tmp_path, "v1.0.0", "v1.0.0", released=True)
    assert not any(call.startswith("release create") for call in asked)
    assert moved(asked)


def test_a_correction_of_an_older_version_leaves_the_tag_where_it_is(tmp_path: Path) -> None:
    asked, summary = move(tmp_path, "v1.0.5", "v1.0.5", "v1.1.0")
    assert any(call.startswith("release create v1.0.5 ") for call in asked)
    assert not moved(asked)
    assert "v1 stays at v1.1.0" in summary
