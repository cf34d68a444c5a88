"""What the server tells of deployments, their versions and their workers."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Status(StrEnum):
    """Temporal's own words for a version."""

    INACTIVE = "Inactive"
    CURRENT = "Current"
    RAMPING = "Ramping"
    DRAINING = "Draining"
    DRAINED = "Drained"
    UNKNOWN = "Unknown"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Version(_Frozen):
    """One version of a deployment, as the deployment's description summarises it."""

    build_id: str
    status: Status
    created: datetime | None
    first_active: datetime | None
    current_since: datetime | None
    last_current: datetime | None
    deactivated: datetime | None

    @property
    def was_current(self) -> bool:
        """Whether all calls were once routed to it."""
        return self.last_current is not None or self.current_since is not None


class Deployment(_Frozen):
    """A deployment's routing at one moment, with the token that a change of it must show."""

    name: str
    conflict_token: bytes
    current: str | None
    current_since: datetime | None
    ramping: str | None
    ramp_percentage: float
    ramping_since: datetime | None
    propagated: bool
    manager: str
    last_modifier: str
    versions: tuple[Version, ...]

    def version(self, build_id: str | None) -> Version | None:
        """The version of that build ID."""
        return next((v for v in self.versions if v.build_id == build_id), None)


class VersionDetails(_Frozen):
    """What only a version's own description tells."""

    build_id: str
    activity_queues: tuple[str, ...]
    metadata: Mapping[str, bytes]
    last_modifier: str


class Worker(_Frozen):
    """A worker by its latest heartbeat. The counters start again with each process."""

    key: str
    identity: str
    build_id: str
    task_queue: str
    running: bool
    heartbeat: datetime
    used_slots: int
    processed: int
    failed: int
    slots: int = 0
    """Calls that it runs at once."""
