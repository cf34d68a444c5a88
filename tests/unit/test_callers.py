"""The files that research repos hold: the smallest that work, and the README's block and the example are theirs."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.github.onboarding_plan import workflow as for_a_repo
from tests.parts.pages import blocks
from tests.parts.workflow_files import ACTION, CALLERS, FOLDER, ROOT, Node, parsed, workflow

CALLED = {"conduit.yml": "conduit", "conduit-rollback.yml": "rollback"}
PAGE = ROOT / "docs" / "github.md"
BIN = Path(sys.executable).parent
# What a repo's owner may decide otherwise: a tag that moves with our releases, and secrets of an environment.
LEFT_TO_OWNERS = "rules: {unpinned-uses: {disable: true}, secrets-inherit: {disable: true}}\n"


def calling(file: str) -> Node:
    (job,) = parsed((CALLERS / file).read_text())["jobs"].values()
    assert isinstance(job, dict)
    return job


def needed(name: str) -> Mapping[str, str]:
    """The least that a caller must grant: GitHub starts no job of a call that is granted less."""
    found: dict[str, str] = {}
    for job in workflow(name)["jobs"].values():
        for permission, level in job["permissions"].items():
            found[permission] = max(found.get(permission, ""), level)
    return found


def lint(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a linter that has to find nothing."""
    program, *arguments = command
    done = subprocess.run(
        [str(BIN / program), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


class TestCallers:
    @pytest.mark.parametrize("file", CALLED)
    def test_a_caller_grants_what_is_needed_and_no_more(self, file: str) -> None:
        assert calling(file)["permissions"] == needed(CALLED[file])

    @pytest.mark.parametrize("file", CALLED)
    def test_a_caller_gives_inputs_that_there_are(self, file: str) -> None:
        inputs = workflow(CALLED[file])["on"]["workflow_call"]["inputs"]
        given = calling(file).get("with", {})
        assert set(given) <= set(inputs)
        assert {name for name, one in inputs.items() if one.get("required")} <= set(given)

    @pytest.mark.parametrize("name", CALLED.values())
    def test_every_input_has_a_type_and_all_but_a_reason_have_a_default(self, name: str) -> None:
        inputs = workflow(name)["on"]["workflow_call"]["inputs"]
        assert all("type" in one and one["description"] for one in inputs.values())
        assert {key for key, one in inputs.items() if "default" not in one} <= {"reason"}

    def test_both_workflows_take_the_same_secrets_and_inputs(self) -> None:
        route, back = (workflow(name)["on"]["workflow_call"] for name in CALLED.values())
        assert set(route["secrets"]) == set(back["secrets"])
        assert set(back["inputs"]) - set(route["inputs"]) == {"build-id", "reason"}
        shared = set(back["inputs"]) & set(route["inputs"])
        assert all(back["inputs"][name]["default"] == route["inputs"][name]["default"] for name in shared)

    def test_the_block_in_the_readme_is_the_file(self) -> None:
        assert f"```yaml\n{(CALLERS / 'conduit.yml').read_text()}```\n" in (ROOT / "README.md").read_text()

    def test_the_file_in_the_smallest_example_is_the_file(self) -> None:
        copied = ROOT / "examples" / "minimal" / ".github" / "workflows" / "conduit.yml"
        assert copied.read_text() == (CALLERS / "conduit.yml").read_text()

    def test_the_blocks_that_owners_paste_are_the_files(self) -> None:
        pasted = {Path(block.file).name: block.text for block in blocks("docs/github.md")}
        assert pasted == {file: (CALLERS / file).read_text() for file in CALLED}


class TestPage:
    """The tables of `docs/github.md` are what the workflow declares."""

    def test_inputs(self) -> None:
        inputs = workflow("conduit")["on"]["workflow_call"]["inputs"]
        assert table("Inputs") == [
            (name, _shown(one["default"]), one["description"]) for name, one in inputs.items()
        ]

    def test_secrets(self) -> None:
        secrets = workflow("conduit")["on"]["workflow_call"]["secrets"]
        assert table("Secrets") == [(name, one["description"]) for name, one in secrets.items()]

    def test_outputs(self) -> None:
        outputs = workflow("conduit")["on"]["workflow_call"]["outputs"]
        assert table("Outputs") == [(name, one["description"]) for name, one in outputs.items()]

    def test_every_job_is_in_the_trust_table(self) -> None:
        told = [
            name for row in table("The jobs, and who is trusted with what") for name in row[0].split(", ")
        ]
        names = [job["name"] for name in CALLED.values() for job in workflow(name)["jobs"].values()]
        assert sorted(told) == sorted(names)


def table(title: str) -> list[tuple[str, ...]]:
    """The rows of the table under a heading, without backticks."""
    section = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    (own,) = (part for part in section if part.startswith(f"{title}\n"))
    rows = [line.strip("|").split("|") for line in own.splitlines() if line.startswith("|")][2:]
    return [tuple(cell.strip().strip("`") for cell in row) for row in rows]


def _shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


class TestLint:
    def test_actionlint(self) -> None:
        lint("actionlint", *sorted(FOLDER.glob("*.yml")))

    def test_zizmor(self) -> None:
        lint("zizmor", "--offline", "--pedantic", "--quiet", "--no-progress", ".github")

    def test_githubs_schemas(self) -> None:
        schema = ("check-jsonschema", "--quiet", "--builtin-schema")
        lint(
            *schema, "vendor.github-workflows", *sorted(FOLDER.glob("*.yml")), *sorted(CALLERS.glob("*.yml"))
        )
        lint(*schema, "vendor.github-actions", ACTION)

    @pytest.fixture
    def research(self, tmp_path: Path) -> Path:
        """A repo whose callers stand beside what they call, so that a linter can look from one to the other."""
        workflows = tmp_path / ".github" / "workflows"
        workflows.mkdir(parents=True)
        (tmp_path / ".git").mkdir()
        for file, name in CALLED.items():
            (workflows / f"our-{name}.yml").write_text((FOLDER / f"{name}.yml").read_text())
            text = for_a_repo(file, "acme/algorithm-conduit@v1", path="algorithms/voice")
            remote = f"acme/algorithm-conduit/.github/workflows/{name}.yml@v1"
            assert remote in text
            (workflows / file).write_text(text.replace(remote, f"./.github/workflows/our-{name}.yml"))
        return tmp_path

    def test_actionlint_finds_inputs_and_secrets_in_order(self, research: Path) -> None:
        lint("actionlint", *(research / ".github/workflows" / file for file in CALLED), cwd=research)

    def test_it_would_find_an_input_that_there_is_not(self, research: Path) -> None:
        caller = research / ".github" / "workflows" / "conduit.yml"
        caller.write_text(caller.read_text().replace("      path:", "      folder:"))
        with pytest.raises(AssertionError, match='input "folder" is not defined'):
            lint("actionlint", caller, cwd=research)

    def test_zizmor_on_what_a_repo_gets(self, tmp_path: Path) -> None:
        (tmp_path / "zizmor.yml").write_text(LEFT_TO_OWNERS)
        options = ("--offline", "--quiet", "--no-progress", "--config", tmp_path / "zizmor.yml")
        lint("zizmor", *options, *(CALLERS / file for file in CALLED))
