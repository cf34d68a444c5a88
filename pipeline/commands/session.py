"""What every command that talks to Temporal starts from."""

import getpass
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from temporalio.client import Client

from pipeline import connection, paths
from pipeline.deployments import Deployment, Deployments
from pipeline.errors import UnknownAlgorithm
from pipeline.models import BUILD_ENTRY
from pipeline.report import Report
from pipeline.rollout.controller import EveryRuntime
from pipeline.rollout.messages import QUARANTINE_ENTRY, Quarantine, Registered
from pipeline.runtimes import RUNTIMES, Runtime, RuntimeOptions, runtime
from pipeline.worker.settings import batch_of

NOT_PROPAGATED = "  warning: Temporal still says that some task queues may not know it; see `conduit status`."


@dataclass(frozen=True)
class Session:
    """The environment of one command, read once at the edge."""

    environment: Mapping[str, str]
    report: Report

    @property
    def home(self) -> Path:
        """Where builds are kept on this machine."""
        return paths.home(self.environment)

    @property
    def by(self) -> str:
        """Who acts: the person who started the job on GitHub or ran it again, else this machine's user."""
        on_github = (self.environment.get(f"GITHUB_{name}") for name in ("TRIGGERING_ACTOR", "ACTOR"))
        return (next(filter(None, on_github), "") or f"{_user()}@{socket.gethostname()}")[:200]

    @property
    def run_url(self) -> str:
        """The job on GitHub that this is, if it is one."""
        parts = [
            self.environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")
        ]
        return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}"[:500] if all(parts) else ""

    def ui_url(self, algorithm: str) -> str:
        """The algorithm's page in Temporal's UI; empty where nobody said where that is."""
        base = self.environment.get("CONDUIT_TEMPORAL_UI") or _cloud_ui(self.environment)
        namespace = self.environment.get("TEMPORAL_NAMESPACE") or "default"
        return f"{base.rstrip('/')}/namespaces/{namespace}/worker-deployments/{algorithm}" if base else ""

    async def connect(self) -> Client:
        """Connect to Temporal; see `connection.connect`."""
        return await connection.connect(self.environment, identity=f"conduit/{self.by}")

    def runtime(self, name: str) -> Runtime:
        """The runtime of that name, told about this machine."""
        return runtime(
            name,
            RuntimeOptions(
                home=self.home,
                connection=connection.variables(self.environment),
                environment=dict(self.environment),
                env_file=_path(self.environment.get("CONDUIT_ENV_FILE")),
            ),
        )

    def every_runtime(self) -> Runtime:
        """All runtimes as one, for what is not about one build."""
        return EveryRuntime({name: self.runtime(name) for name in RUNTIMES})


def _cloud_ui(environment: Mapping[str, str]) -> str:
    host = environment.get("TEMPORAL_ADDRESS", "").partition(":")[0]
    return "https://cloud.temporal.io" if host.endswith((".tmprl.cloud", ".api.temporal.io")) else ""


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


async def deployment(deployments: Deployments, algorithm: str) -> Deployment:
    """Read an algorithm's deployment.

    Raises:
        UnknownAlgorithm: there is none.
    """
    seen = await deployments.describe(algorithm)
    if seen is None:
        names = ", ".join(algorithms(await deployments.names())) or "none"
        raise UnknownAlgorithm(
            f"Temporal knows no algorithm {algorithm[:80]!r}.",
            why=f"It knows: {names}.",
            now="Check the name and TEMPORAL_NAMESPACE, or deliver it first.",
        )
    return seen


def algorithms(deployments: Iterable[str]) -> tuple[str, ...]:
    """Those of the deployments that are algorithms' own: not those which route their batch calls."""
    names = set(deployments)
    return tuple(sorted(names - {batch_of(name) for name in names}))


UNREADABLE = Quarantine(
    reason="its quarantine is of another version of the toolkit",
    by="unknown",
    at=datetime.fromtimestamp(0, UTC),
)


class About(dict[str, bytes]):
    """A version's metadata, of which only what parses is believed."""

    @property
    def registered(self) -> Registered | None:
        """Who built what."""
        try:
            return Registered.model_validate_json(self[BUILD_ENTRY])
        except (KeyError, ValidationError):
            return None

    @property
    def quarantine(self) -> Quarantine | None:
        """Why it must not be promoted again. An entry that cannot be read forbids it too."""
        entry = self.get(QUARANTINE_ENTRY)
        if entry is None:
            return None
        try:
            return Quarantine.model_validate_json(entry)
        except ValidationError:
            return UNREADABLE


async def about(deployments: Deployments, algorithm: str, build_id: str) -> About:
    """Read a build's metadata; empty where there is none."""
    details = await deployments.details(algorithm, build_id)
    return About(details.metadata if details else {})
