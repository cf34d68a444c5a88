"""What pages show, as values that can be made without PyGithub."""

from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from pipeline.models import AlgorithmName, BuildId, Sha, Value

State = Literal["in_progress", "success", "failure", "inactive"]
Conclusion = Literal["success", "failure", "neutral", "action_required", "skipped", "cancelled", "timed_out"]
Level = Literal["notice", "warning", "failure"]


class DeploymentStatus(Value):
    """How far the release of one build is."""

    algorithm: AlgorithmName
    build_id: BuildId
    commit: Sha
    state: State
    description: str
    ui_url: str = Field(default="", description="the algorithm in Temporal's UI")


class Annotation(Value):
    """What is wrong with one place of the repo's files."""

    path: str = Field(max_length=1000, description="POSIX path from the repo's root")
    line: int = Field(ge=1)
    level: Level = "failure"
    title: str = Field(default="", max_length=255)
    message: str = Field(min_length=1)

    @field_validator("path")
    @classmethod
    def _is_inside_the_repo(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts:
            raise ValueError("not a path inside the repo")
        return path


class Check(Value):
    """The result of one check of the commit."""

    name: str = Field(min_length=1, max_length=200, description="the same for each commit")
    conclusion: Conclusion
    title: str = Field(min_length=1, max_length=255, description="the result in one line")
    summary: str = Field(max_length=65_535, description="markdown")
    annotations: tuple[Annotation, ...] = Field(default=(), description="the lines at fault")
