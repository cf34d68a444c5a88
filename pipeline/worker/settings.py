"""What a build tells its worker host. Written by `conduit build`, read by the host when it starts."""

from pydantic import BaseModel, ConfigDict, Field


def batch_of(algorithm: str) -> str:
    """The name of an algorithm's batch queue, and of the deployment that routes its calls.

    No algorithm can be called so, and Temporal takes it for both: a deployment with a dot or colon it never lists.
    """
    return f"{algorithm}/batch"


def queues_of(algorithm: str) -> tuple[str, str]:
    """The queues that an algorithm's calls are on, the batch queue last."""
    return algorithm, batch_of(algorithm)


class HostSettings(BaseModel):
    """How to run one build's activities; durations in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_queue: str
    activities: tuple[str, ...] = Field(description="modules that hold @activity.defn functions")
    setup: str | None = Field(
        default=None, description="`module:function`, called once before the worker polls"
    )
    codec: str | None = Field(
        default=None, description="`module:name` of the codec that the callers' payloads are encoded with"
    )
    compare: str | None = Field(
        default=None, description="`module:function` that compares a recorded output with a new one"
    )
    max_concurrent_activities: int = Field(default=100, ge=1)
    batch_slots: int = Field(
        default=0, ge=0, description="of these, how many are for calls on the batch queue; 0: it has none"
    )
    grace: float = Field(
        default=30.0, ge=0, description="what running activities get to finish after SIGTERM"
    )
    heartbeat: float = Field(default=1.0, ge=1, le=60, description="between two heartbeats to the server")
    connect_timeout: float = Field(
        default=60.0, gt=0, description="how long Temporal is tried before giving up"
    )
    checkpoint_store: str | None = Field(
        default=None, description="address for fsspec, where checkpoints too large for a heartbeat are kept"
    )
    handover_check: float = Field(
        default=5.0,
        gt=0,
        description="between two looks at the routing while a call runs that can be handed over",
    )
    own_queue: bool = Field(
        default=False, description="whether each worker process also takes calls from a task queue of its own"
    )
    own_heartbeats: bool = Field(
        default=False,
        description="whether a call that heartbeats itself is left to do so, and its silence ends the attempt",
    )
