"""The repository's own workflow files, parsed as GitHub parses them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
ACTION = ROOT / ".github" / "actions" / "toolkit" / "action.yml"
CALLERS = ROOT / "pipeline" / "github" / "callers"
NAMES = ("ci", "conduit", "release", "rollback")

Node = Mapping[str, Any]


def text(name: str) -> str:
    """One of our workflows as it stands."""
    return (FOLDER / f"{name}.yml").read_text()


def parsed(source: str) -> Node:
    """A workflow; the key `on`, which YAML 1.1 takes for true, is `on` again."""
    workflow = yaml.safe_load(source)
    assert isinstance(workflow, dict)
    return {("on" if key is True else str(key)): value for key, value in workflow.items()}


def workflow(name: str) -> Node:
    return parsed(text(name))


def job(name: str, job_id: str) -> Node:
    found: Node = workflow(name)["jobs"][job_id]
    return found


def jobs() -> Iterator[tuple[str, str, Node]]:
    """Every job with the name of its workflow and its own."""
    for name in NAMES:
        for job_id, node in workflow(name)["jobs"].items():
            yield name, job_id, node


def steps(source: Node) -> list[Node]:
    return [*source.get("steps", [])]


def strings(node: Any) -> Iterator[str]:
    """Every text in a node, keys left out."""
    if isinstance(node, Mapping):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


def secrets(node: Any) -> set[str]:
    """The secrets that a node names."""
    return {name for found in strings(node) for name in re.findall(r"\bsecrets\.(\w+)", found)}
