"""The repo that the conduit writes for a placeholder."""

from pathlib import Path

from pipeline.placeholders import repo
from pipeline.placeholders.answers import plan
from pipeline.project import at_commit
from tests.unit.contract.contracts import contract_of


def test_the_same_contract_makes_the_same_commit_wherever_it_is_made(tmp_path: Path) -> None:
    planned = plan("speaker-id", contract_of(argument=str, result=list[int]), {}, hold=False)
    commits = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        files = repo.files("speaker-id", "process", planned)
        repo.write(folder, files, author="An Engineer", subject="Placeholder", origin=f"/{name}/contract.py")
        project = at_commit(folder, None)
        assert (project.config.algorithm, project.config.placeholder) == ("speaker-id", True)
        assert project.commit.repo == f"/{name}/contract.py"
        commits.append(project.commit.sha)
    assert len(set(commits)) == 1


def test_its_module_is_where_its_configuration_says(tmp_path: Path) -> None:
    planned = plan("speaker-id", contract_of(result=int), {}, hold=True)
    files = repo.files("speaker-id", "process", planned)
    assert f'activities = ["{repo.MODULE}"]' in files["pyproject.toml"]
    compile(files[f"{repo.MODULE}.py"], repo.MODULE, "exec")
