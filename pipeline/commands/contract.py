"""`conduit contract`: what an algorithm's activities take and give, and what a change of that would break."""

from pathlib import Path

from pipeline import declared
from pipeline.commands.session import Session
from pipeline.commands.stubs import Source, of_live, of_project
from pipeline.contract import Change, approval, compare, render, way_out
from pipeline.contract.likeness import any_of
from pipeline.gates.texts import short
from pipeline.models import Value
from pipeline.worker.contract import ActivityContract, Contract, Schema


class Where(Value):
    """Where a contract is read: a file, a live algorithm's Current build, or else a commit of a research repo."""

    file: Path | None = None
    live: str | None = None
    project: Path = Path()
    commit: str | None = None


class Shown(Value):
    """A contract, for people."""

    origin: str
    contract: Contract

    def lines(self) -> list[str]:
        """One activity after the other."""
        return [
            f"contract of {self.origin}, {self.contract.digest}",
            *(line for activity in self.contract.activities for line in _lines(activity)),
        ]


class Differences(Value):
    """What changed between two contracts."""

    old: str
    new: str
    breaking: bool
    approval: str
    """What approves these breaking changes in `[tool.conduit.gates]`; empty if nothing breaks."""
    changes: tuple[Change, ...]

    def lines(self) -> list[str]:
        """What changed, and the way out where callers would break."""
        if not self.changes:
            return [f"Nothing that callers see changed from {self.old} to {self.new}."]
        told = [f"From {self.old} to {self.new}:", *render(self.changes)]
        return [*told, "", way_out(self.approval)] if self.breaking else told


async def read(session: Session, where: Where) -> Source:
    """Read a contract.

    Raises:
        NotAContract, ImportFailed, UntypedActivity: the file holds none.
        UnknownAlgorithm, UnknownBuild: nothing of that name is live.
        NotARepository, NoSuchCommit, …: the commit's cannot be read.
    """
    if where.file is not None:
        contract = declared.read(where.file, session.environment)
        return Source(algorithm=where.file.stem, contract=contract, origin=str(where.file))
    if where.live is not None:
        return await of_live(session, where.live)
    return of_project(session, where.project, where.commit)


async def show(session: Session, where: Where) -> Shown:
    """Read a contract to look at it."""
    source = await read(session, where)
    return Shown(origin=source.origin, contract=source.contract)


async def diff(session: Session, where: Where, against: Where | None) -> Differences:
    """Compare a contract with an older one: what is live of the same algorithm, unless another is named."""
    new = await read(session, where)
    old = await read(session, against or Where(live=new.algorithm))
    changes = compare(old.contract, new.contract)
    return Differences(
        old=old.origin,
        new=new.origin,
        breaking=any(change.breaking for change in changes),
        approval=approval(changes),
        changes=changes,
    )


def _lines(activity: ActivityContract) -> list[str]:
    doc = f"  {activity.doc}" if activity.doc else ""
    lines = [
        f"{activity.name}{doc}",
        f"  takes {_name(activity.input)}",
        *_fields(activity.input),
        f"  gives {_name(activity.output)}",
        *_fields(activity.output),
    ]
    # The words are a stranger's.
    return ["", *(short(line) for line in lines)]


def _name(schema: Schema | None) -> str:
    return "nothing" if schema is None else _kind(schema, schema)


def _fields(schema: Schema | None) -> list[str]:
    root = _resolved(schema, schema) if schema else {}
    required = root.get("required", [])
    return [
        f"    {name}: {_kind(field, schema or {})}{'' if name in required else ' (optional)'}"
        for name, field in root.get("properties", {}).items()
    ]


def _resolved(node: Schema, root: Schema) -> Schema:
    name = str(node.get("$ref", "")).removeprefix("#/$defs/")
    found = root.get("$defs", {}).get(name, node)
    return found if isinstance(found, dict) else node


def _kind(node: Schema, root: Schema) -> str:
    """A type as people name it; a model by its title."""
    found = _resolved(node, root)
    options = found.get("anyOf") or found.get("oneOf")
    if options:
        return any_of(_kind(option, root) for option in options)
    if found.get("type") == "array" and isinstance(found.get("items"), dict):
        return f"list of {_kind(found['items'], root)}"
    if "properties" in found or "enum" in found:
        return str(found.get("title", "object"))
    kind = found.get("type", "anything")
    return kind if isinstance(kind, str) else any_of(kind)
