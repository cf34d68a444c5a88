"""What the page on long-running algorithms says can be pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "long-running"
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/long-running.md").read_text(), re.DOTALL)


def test_its_first_module_and_the_tests_of_it_are_the_examples_and_pass() -> None:
    module, tests, *_ = BLOCKS
    assert module == (EXAMPLE / "tuning.py").read_text()
    assert tests == (EXAMPLE / "test_tuning.py").read_text()
    outcome = run(EXAMPLE, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--config-file=pyproject.toml")
    assert outcome.returncode == 0, outcome.stdout
    assert "2 passed" in outcome.stdout


def test_its_later_modules_are_code_that_imports(tmp_path: Path) -> None:
    module, _, migrated, sessions = BLOCKS
    imports = "import uuid\nfrom temporalio.exceptions import ApplicationError\n"
    first = module.replace('Checkpoint("tuning", Progress', 'Checkpoint("another", Progress')
    assert first != module
    (tmp_path / "everything.py").write_text(imports + first + migrated + sessions)
    outcome = run(tmp_path, "-c", "import everything; print(everything.PROGRESS.version)")
    assert outcome.stdout.strip() == "3", outcome.stderr


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
