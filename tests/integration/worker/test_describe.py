from pathlib import Path

import pytest

from pipeline.worker.describe import Described, Undescribed, read_description
from pipeline.worker.settings import HostSettings
from tests.parts.worker_host import describe

SETTINGS = HostSettings(task_queue="any", activities=("one",))
ACTIVITY = "from temporalio import activity\n@activity.defn\ndef one() -> int: ...\n"


def test_what_a_module_prints_does_not_disturb_the_contract(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(ACTIVITY + 'print(\'{"kind": "contract"}\')\n')
    assert describe(tmp_path, SETTINGS, tmp_path / "contract.json").returncode == 0
    description = read_description(tmp_path / "contract.json")
    assert isinstance(description, Described)
    assert [one.name for one in description.contract.activities] == ["one"]


def test_a_module_that_exits_is_a_failure_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("import sys\nsys.exit(0)\n")
    assert describe(tmp_path, SETTINGS, tmp_path / "contract.json").returncode == 1
    description = read_description(tmp_path / "contract.json")
    assert isinstance(description, Undescribed)
    assert description.error == "ImportFailed"


def test_a_module_that_kills_the_process_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("import os\nos.abort()\n")
    assert describe(tmp_path, SETTINGS, tmp_path / "contract.json").returncode < 0
    with pytest.raises(FileNotFoundError):
        read_description(tmp_path / "contract.json")


def test_a_thread_that_never_ends_does_not_keep_the_process(tmp_path: Path) -> None:
    thread = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    (tmp_path / "one.py").write_text(ACTIVITY + thread)
    assert describe(tmp_path, SETTINGS, tmp_path / "contract.json").returncode == 0
