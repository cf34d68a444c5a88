"""Nothing in `pipeline/` imports upwards, and each vendor's SDK is used in one place."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# From the bottom to the top. A part may import parts of its own layer, as long as no circle comes of it.
LAYERS = (
    {"__init__", "worker"},
    {"errors", "models", "options"},
    {"command", "config", "contract", "discovery", "git", "paths", "release_report", "report"},
    {
        *(
            "build",
            "connection",
            "declared",
            "deployments",
            "devserver",
            "gates",
            "github",
            "project",
            "reference",
        ),
        *("placeholders", "runtimes", "scaffold", "shipped", "stubs", "verify"),
    },
    {"backfill", "rollout"},
    {"commands", "demo"},
    {"cli"},
    {"__main__"},
)
RANKS = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# Where each SDK may be imported.
SDK_PLACES = {
    "docker": {"build", "runtimes"},
    "github": {"github"},
    "copier": {"scaffold"},
}

WORKER_MAY_IMPORT = {"pipeline", "pydantic", "temporalio"}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    files = (ROOT / "pipeline").rglob("*.py")
    return {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files}


MODULES = modules()


def imports(file: Path) -> Iterator[str]:
    """The dotted names that a module imports, also within functions and for type checkers only."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def part(module: str) -> str:
    """The part of `pipeline` that a dotted name is in; `__init__` for a name of `pipeline` itself."""
    name = module.split(".")[1] if "." in module else "__init__"
    is_there = (ROOT / "pipeline" / name).is_dir() or f"pipeline.{name}" in MODULES
    return name if is_there else "__init__"


def parts_imported(file: Path) -> set[str]:
    return {part(name) for name in imports(file) if name.split(".")[0] == "pipeline"}


def packages_imported(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(file)}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_has_its_layer_and_imports_nothing_above_it(module: str) -> None:
    own = part(module)
    assert own in RANKS, f"give pipeline.{own} a layer in LAYERS"
    above = {name for name in parts_imported(MODULES[module]) if RANKS[name] > RANKS[own]}
    assert not above


def test_no_two_parts_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, file in MODULES.items():
        graph.setdefault(part(module), set()).update(parts_imported(file) - {part(module)})
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("sdk", SDK_PLACES)
def test_an_sdk_is_imported_in_its_place_only(sdk: str) -> None:
    places = {part(module) for module, file in MODULES.items() if sdk in packages_imported(file)}
    assert places
    assert places <= SDK_PLACES[sdk]


def test_the_worker_host_needs_temporalio_and_pydantic_alone() -> None:
    hosts = [file for module, file in MODULES.items() if part(module) == "worker"]
    assert hosts
    needed = set().union(*map(packages_imported, hosts)) - sys.stdlib_module_names
    assert needed <= WORKER_MAY_IMPORT
