"""`conduit stubs`: the module through which engineers call an algorithm, and whether theirs still fits."""

from pathlib import Path

from pipeline import declared, stubs
from pipeline.build import local
from pipeline.commands.session import Session, about, deployment
from pipeline.contract import Change, render
from pipeline.deployments import Deployments
from pipeline.errors import (
    DestinationNotWritable,
    NotStubs,
    StubsOutdated,
    UnknownBuild,
)
from pipeline.models import Value, algorithm_of
from pipeline.project import at_commit
from pipeline.rollout.policy import promised
from pipeline.worker.contract import Contract


class Source(Value):
    """A contract, whose it is and where it was read."""

    algorithm: str
    contract: Contract
    origin: str


class Stubs(Value):
    """A module of typed calls."""

    algorithm: str
    digest: str
    origin: str
    module: str
    file: Path | None = None

    def lines(self) -> list[str]:
        """The module itself, or where it was written."""
        if self.file is None:
            return [self.module.rstrip("\n")]
        return [f"{self.algorithm}: {self.file} was made from the contract of {self.origin}."]


class Checked(Value):
    """Stubs that still can be called through."""

    algorithm: str
    digest: str
    origin: str
    changes: tuple[Change, ...]

    def lines(self) -> list[str]:
        """What changed, if anything did."""
        if not self.changes:
            return [f"{self.algorithm}: the stubs fit the contract of {self.origin}."]
        return [
            f"{self.algorithm}: the stubs still fit the contract of {self.origin}, which has more by now:",
            *render(self.changes),
        ]


async def of_live(session: Session, algorithm: str) -> Source:
    """Read the contract of the Current build out of its version's metadata; of the placeholder that holds calls.

    Raises:
        UnknownAlgorithm: Temporal knows no such algorithm.
        UnknownBuild: no build is Current, or the conduit did not register it.
    """
    deployments = Deployments(await session.connect())
    seen = await deployment(deployments, algorithm_of(algorithm))
    build_id = promised(seen)
    registered = (await about(deployments, algorithm, build_id)).registered if build_id else None
    if registered is None:
        raise UnknownBuild(
            f"Temporal holds no contract of {algorithm}.",
            why=f"Its build {build_id} was not registered by the conduit."
            if build_id
            else "No build of it is Current.",
            now="Deliver it, or name a research repo with --project or a contract file with --contract.",
        )
    build = registered.build
    return Source(algorithm=algorithm, contract=build.contract, origin=f"build {build.build_id}")


def of_project(session: Session, folder: Path, revision: str | None) -> Source:
    """Read the contract of a commit of a research repo by importing it in its own environment."""
    project = at_commit(folder, revision)
    with (
        session.report.step("contract"),
        local.staged(project, session.home, session.environment) as stage,
    ):
        contract = local.read_contract(project, stage, session.environment)
    return Source(
        algorithm=project.config.algorithm, contract=contract, origin=f"commit {project.commit.short}"
    )


def of_file(session: Session, algorithm: str, file: Path) -> Source:
    """Read the contract of a file."""
    contract = declared.read(file, session.environment)
    return Source(algorithm=algorithm_of(algorithm), contract=contract, origin=str(file))


def write(source: Source, file: Path | None) -> Stubs:
    """Make the module, and put it into a file if one is named.

    Raises:
        InvalidContract: no module can be made of the contract.
        DestinationNotWritable: the file cannot be written.
    """
    module = stubs.generate(source.algorithm, source.contract)
    if file is not None:
        try:
            file.write_text(module, encoding="utf-8")
        except OSError as error:
            raise DestinationNotWritable(
                f"{file} cannot be written.", why=str(error), now="Name another file with --output."
            ) from None
    return Stubs(
        algorithm=source.algorithm,
        digest=source.contract.digest,
        origin=source.origin,
        module=module,
        file=file,
    )


def check(source: Source, file: Path) -> Checked:
    """Compare the stubs in a file with the contract.

    Raises:
        NotStubs: the file holds none.
        StubsOutdated: calls through them would fail.
    """
    changes = stubs.check(_text(file), source.contract)
    if any(change.breaking for change in changes):
        raise StubsOutdated(
            f"{file} no longer fits {source.algorithm}: calls through it would fail.",
            why=f"The contract of {source.origin} differs:\n" + "\n".join(render(changes)),
            now="Make the stubs again with the same command and --output in place of --check, "
            "and let the type checker show which calls to mend.",
        )
    return Checked(
        algorithm=source.algorithm, digest=source.contract.digest, origin=source.origin, changes=changes
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotStubs(
            f"{file} cannot be read as stubs.", why=str(error), now="Make it with `conduit stubs`."
        ) from None
