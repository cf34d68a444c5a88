import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.command import for_installing, run, tail, without_secrets
from tests.parts.waiting import eventually_sync

SECRETS = {
    "TEMPORAL_ADDRESS": "server",
    "TEMPORAL_API_KEY": "secret",
    "GITHUB_TOKEN": "secret",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "REGISTRY_PASSWORD": "secret",
    "npm_token": "secret",
    "SSH_AUTH_SOCK": "socket",
    "AWS_ACCESS_KEY_ID": "id",
    "DOCKER_AUTH_CONFIG": "secret",
    "GPG_PASSPHRASE": "secret",
    "DEPLOY_PRIVATE_KEY": "secret",
    "STORAGE_ACCOUNT_KEY": "secret",
    "DB_PASS": "secret",
    "MYSQL_PWD": "secret",
    "GH_PAT": "secret",
    "SLACK_WEBHOOK_URL": "secret",
}
HARMLESS = {"PATH": "/bin", "PWD": "/", "HOME": "/home", "LANG": "C", "CUDA_VISIBLE_DEVICES": "0"}
# Starts a child that outlives it, unless the whole group is killed.
FAMILY = """\
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
open("child", "w").write(str(child.pid))
child.wait()
"""


def test_research_code_sees_no_secret() -> None:
    assert without_secrets({**SECRETS, **HARMLESS}) == HARMLESS


def test_another_interpreter_is_not_led_astray() -> None:
    assert without_secrets({"PYTHONPATH": "/ours", "VIRTUAL_ENV": "/ours", **HARMLESS}) == HARMLESS


def test_a_private_index_can_be_installed_from() -> None:
    index = {"UV_INDEX_TEAM_USERNAME": "reader", "UV_INDEX_TEAM_PASSWORD": "secret"}
    assert for_installing({**SECRETS, **HARMLESS, **index}) == {**HARMLESS, **index}
    assert "UV_INDEX_TEAM_PASSWORD" not in without_secrets(index)


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL"])
def test_an_index_whose_address_holds_a_password_is_for_installing_alone(name: str) -> None:
    private = {name: "https://reader:secret@packages.example/simple"}
    assert without_secrets(private) == {}
    assert for_installing(private) == private
    public = {name: "https://packages.example/simple"}
    assert without_secrets(public) == public


def test_both_streams_are_kept_in_their_order(tmp_path: Path) -> None:
    program = "import os; os.write(1, b'one\\n'); os.write(2, b'two\\n'); os.write(1, b'\\xff'); raise SystemExit(3)"
    outcome = run([sys.executable, "-c", program], cwd=tmp_path, environment={})
    assert outcome.returncode == 3
    assert outcome.stdout == "one\ntwo\n\N{REPLACEMENT CHARACTER}"


def test_arguments_are_never_read_by_a_shell(tmp_path: Path) -> None:
    outcome = run(
        [sys.executable, "-c", "import sys; print(sys.argv[1])", "$(id); *"], cwd=tmp_path, environment={}
    )
    assert outcome.tail() == "$(id); *"


def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run([sys.executable, "-c", FAMILY], cwd=tmp_path, environment={}, timeout=5)
    child = int((tmp_path / "child").read_text())
    eventually_sync(lambda: not _lives(child))


def test_what_a_program_leaves_in_the_background_holds_nobody_up(tmp_path: Path) -> None:
    parent = FAMILY.replace("child.wait()", "print('done')").replace("stdin=subprocess.PIPE", "stdin=held")
    program = "import os; held = os.pipe()[0]\n" + parent.replace("input()", "import time; time.sleep(600)")
    outcome = run([sys.executable, "-c", program], cwd=tmp_path, environment={}, timeout=60)
    assert (outcome.returncode, outcome.stdout) == (0, "done\n")
    child = int((tmp_path / "child").read_text())
    eventually_sync(lambda: not _lives(child))


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_tail_is_the_last_lines() -> None:
    assert tail("1\n2\n3\n\n", 2) == "2\n3"
    assert tail("") == ""
