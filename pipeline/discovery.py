"""Finds the modules that hold activities by reading a repo's source, never by running it."""

import ast
import warnings
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

NOT_SHIPPED = frozenset({"build", "docs", "examples"})
"""Top-level folders whose modules are copies or illustrations of the real ones."""
TESTS = frozenset({"test", "tests"})

# What nests a statement without giving it a scope of its own: a worker finds a function below these by the
# module's attributes, and does not find one that is a method or a closure.
TRANSPARENT = (ast.If, ast.Try, ast.With)


def activity_modules(files: Mapping[str, str]) -> tuple[str, ...]:
    """Name the modules with a function under `@activity.defn`, sorted.

    Args:
        files: text of the repo's files by POSIX path relative to the folder of its `pyproject.toml`. Files
            that are not Python, are tests, do not parse, or cannot be imported by that path are passed over.
    """
    roots = _import_roots(files)
    found = {module_name(path, roots) for path, text in files.items() if defines_activity(path, text)}
    return tuple(sorted(name for name in found if name))


def defines_activity(path: str, text: str) -> bool:
    """Tell whether a file is shipped Python that defines an activity at module level."""
    if not is_shipped_python(path) or "temporalio" not in text:
        return False
    tree = _parse(text)
    if tree is None:
        return False
    spellings = _spellings_of_defn(tree)
    return any(_decorators(function) & spellings for function in _module_functions(tree.body))


def is_shipped_python(path: str) -> bool:
    """Tell whether a file is Python that goes into production: no test, no illustration, no copy."""
    file = PurePosixPath(path)
    folders = file.parts[:-1]
    is_test = file.stem.startswith("test_") or file.stem.endswith("_test") or file.stem == "conftest"
    return (
        file.suffix == ".py"
        and not is_test
        and not TESTS.intersection(folders)
        and not NOT_SHIPPED.intersection(folders[:1])
    )


def module_name(path: str, roots: frozenset[str]) -> str:
    """The dotted name under which a file is imported, or "" if no import statement can name it."""
    parts = list(PurePosixPath(path).with_suffix("").parts)
    if parts[0] in roots:
        del parts[0]
    if parts and parts[-1] == "__init__":
        del parts[-1]
    return ".".join(parts) if all(part.isidentifier() for part in parts) else ""


def _import_roots(files: Mapping[str, str]) -> frozenset[str]:
    # A `src` that is itself a package is imported as `src.…`; many research repos do that.
    return frozenset() if "src/__init__.py" in files else frozenset({"src"})


def _parse(text: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about somebody else's escape sequences
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _spellings_of_defn(tree: ast.Module) -> set[str]:
    """Every dotted text that means `temporalio.activity.defn` in this module."""
    spellings: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            spellings.update(filter(None, map(_imported, node.names)))
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            spellings.update(filter(None, (_imported_from(node.module or "", name) for name in node.names)))
    return spellings


def _imported(name: ast.alias) -> str:
    if name.name == "temporalio.activity":
        return f"{name.asname or name.name}.defn"
    if name.name == "temporalio" and name.asname:
        return f"{name.asname}.activity.defn"
    return ""


def _imported_from(module: str, name: ast.alias) -> str:
    if (module, name.name) == ("temporalio", "activity"):
        return f"{name.asname or name.name}.defn"
    if (module, name.name) == ("temporalio.activity", "defn"):
        return name.asname or name.name
    return ""


def _module_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, TRANSPARENT):
            for nested in ("body", "orelse", "finalbody"):
                yield from _module_functions(getattr(node, nested, []))
            for handler in getattr(node, "handlers", []):
                yield from _module_functions(handler.body)


def _decorators(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    calls_undone = (node.func if isinstance(node, ast.Call) else node for node in function.decorator_list)
    return {ast.unparse(node) for node in calls_undone}
