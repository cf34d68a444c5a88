"""`[tool.conduit.docker]`: what a repo asks for its worker containers."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StrictFloat, StrictInt, StringConstraints

from pipeline.options.table import Table

Memory = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*[kmg]$")]
NetworkName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class DockerOptions(Table):
    """Limits and surroundings of one worker's container."""

    cpus: StrictFloat | None = Field(
        default=None, gt=0, description="Processors that a worker may use; 0.5 is half of one."
    )
    memory: Memory | None = Field(
        default=None, description="Memory that a worker may use, such as 512m or 4g."
    )
    gpus: Annotated[StrictInt, Field(ge=1)] | Literal["all"] | None = Field(
        default=None, description="Graphics processors for each worker, or all of them."
    )
    shared_memory: Memory | None = Field(
        default=None, description="Size of /dev/shm; Docker's default is 64m."
    )
    networks: tuple[NetworkName, ...] = Field(
        default=(),
        description="Networks that a worker is in. Default: the host's where Temporal's address is on it.",
    )
    env_file: Path | None = Field(
        default=None, description="File of NAME=VALUE lines on the machine that starts the workers."
    )
    max_restarts: StrictInt = Field(
        default=3,
        ge=1,
        le=100,
        description="How often a worker may fail and be started again before a release takes it for dead.",
    )
