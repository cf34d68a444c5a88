"""The script that installs the toolkit in a job, as it stands; a stand-in for `uv` reads what the real one would."""

import subprocess
from pathlib import Path

import uv

from tests.parts.workflow_files import ACTION

UV = """#!/bin/sh
# What a configuration in this folder or above would tell the real one.
{uv} python dir >/dev/null || exit
mkdir -p "$RUNNER_TEMP/conduit-toolkit/bin"
"""


def test_what_another_job_left_in_the_workspace_does_not_tell_it_what_to_install(tmp_path: Path) -> None:
    workspace, temp = tmp_path / "workspace", tmp_path / "temp"
    for folder in (workspace, temp, tmp_path / "bin"):
        folder.mkdir()
    (workspace / "uv.toml").write_text('required-version = "==0.0.1"\n')
    program = tmp_path / "bin" / "uv"
    program.write_text(UV.format(uv=uv.find_uv_bin()))
    program.chmod(0o755)
    environment = {
        "PATH": f"{program.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "RUNNER_TEMP": str(temp),
        "GITHUB_PATH": str(tmp_path / "path"),
    }
    done = subprocess.run(
        [ACTION.with_name("install")],
        cwd=workspace,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "path").read_text() == f"{temp}/conduit-bin\n"
