"""The first step of a commit's route: its own tests in its own environment."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from pipeline.build import local
from pipeline.command import run, tail, without_secrets
from pipeline.errors import TestsFailed
from pipeline.models import Value
from pipeline.project import Project

PYTEST_FOUND_NOTHING = 5


class Verified(Value):
    """What verify found."""

    tests: str
    """The last line that the tests printed, or why none ran."""


def run_tests(
    project: Project, home: Path, environment: Mapping[str, str], timeout: float = 3600
) -> Verified:
    """Run the repo's own tests on the exported commit.

    They run in a folder of their own, so that what they write there does not become a part of a build, and
    see no credential of the conduit's.

    Args:
        timeout: in seconds.

    Raises:
        TestsFailed: they failed, or did not end in time; their output is in the error.
        NoDependencies, EnvironmentFailed, UnsafeTree: they could not be run.
    """
    if not project.config.test:
        return Verified(tests="no tests: `test` is empty")
    with local.staged(project, home, environment, tests=True) as stage:
        path = f"{stage.environment.python.parent}:{environment.get('PATH', '')}"
        pythonpath = local.search_path(stage.code, stage.folder / "host")
        try:
            outcome = run(
                project.config.test,
                cwd=stage.project,
                environment={**without_secrets(environment), "PATH": path, "PYTHONPATH": pythonpath},
                timeout=timeout,
            )
        except FileNotFoundError:
            raise TestsFailed(
                f"The test command {project.config.test[0]!r} is not installed.",
                now="Add it to the repo's `dev` dependencies, or correct `test` in [tool.conduit].",
            ) from None
        except subprocess.TimeoutExpired:
            raise TestsFailed(
                f"The repo's tests did not end in {timeout:.0f} seconds.", now="Look for a test that hangs."
            ) from None
    if outcome.returncode == PYTEST_FOUND_NOTHING and "pytest" in project.config.test:
        return Verified(tests="the repo has no tests")
    if outcome.returncode != 0:
        raise TestsFailed(
            "The repo's tests failed.",
            why=f"`{' '.join(project.config.test)}` ended with exit code {outcome.returncode}.",
            now="Mend them and push again; `conduit verify` runs the same on a laptop.",
            log=outcome.tail(),
        )
    return Verified(tests=tail(outcome.stdout, 1).strip("= ") or "passed")
