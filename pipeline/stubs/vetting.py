"""The last look at generated code: only what a module of models consists of may be in it.

The code is made from text that a stranger may have written. Whatever the generator does with it, nothing
but declarations leaves this package.
"""

import ast
import builtins
from collections.abc import Iterator

MODULES = {"datetime", "enum", "ipaddress", "pathlib", "pydantic", "typing", "typing_extensions", "uuid"}
ALIASED = "_aliased"
"""How the generator ends the name of an import where a field has the name itself: `date: date_aliased`."""
CALLS = {"ConfigDict", "Field", "StringConstraints", "TypeAliasType"}
TYPES = {"bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple"}
EXPRESSIONS = (
    *(ast.Name, ast.Constant, ast.Subscript, ast.Tuple, ast.List, ast.Dict, ast.BinOp, ast.BitOr),
    *(ast.UnaryOp, ast.USub, ast.Call, ast.keyword, ast.Attribute, ast.Load, ast.Store),
)


class UnexpectedCode(Exception):
    """The code has something in it that declares no model."""


def vetted(code: str, base_module: str) -> ast.Module:
    """The code as a tree, once it is known to declare models and to do nothing else.

    Raises:
        UnexpectedCode: it does more, or is not Python.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError) as error:
        raise UnexpectedCode(str(error)) from error
    imported = {name for statement in tree.body for name in _imported(statement, base_module)}
    classes = {statement.name for statement in tree.body if isinstance(statement, ast.ClassDef)}
    aliases = {name for statement in tree.body for name in _assigned(statement)}
    known = imported | classes | aliases | TYPES
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom):
            _require(len([*_imported(statement, base_module)]) == len(statement.names), statement)
        else:
            _vet_statement(statement, known, classes)
    return tree


def _imported(statement: ast.stmt, base_module: str) -> Iterator[str]:
    if isinstance(statement, ast.ImportFrom) and statement.module in {*MODULES, base_module, "builtins"}:
        allowed = TYPES if statement.module == "builtins" else None
        for name in statement.names:
            known = name.name != "*" if allowed is None else name.name in allowed
            if known and name.asname in (None, name.name + ALIASED):
                yield name.asname or name.name


def _assigned(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


def _vet_statement(statement: ast.stmt, known: set[str], classes: set[str]) -> None:
    match statement:
        case ast.ClassDef(bases=[ast.Name(id=base)], keywords=[], decorator_list=[]):
            _require(base in known, statement)
            fields = {name for inner in statement.body for name in _assigned(inner)}
            for inner in statement.body:
                _vet_member(inner, known | fields, classes)
        case ast.Assign(targets=[ast.Name()], value=ast.Call(func=ast.Name(id="TypeAliasType")) as value):
            _vet_expression(value, known, classes)
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="model_rebuild"), args=[])
        ):
            _require(name in classes and not statement.value.keywords, statement)  # type: ignore[attr-defined]
        case _:
            _require(False, statement)


def _vet_member(member: ast.stmt, known: set[str], classes: set[str]) -> None:
    match member:
        case ast.Pass() | ast.Expr(value=ast.Constant(value=str())):
            pass
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            _require(name == "model_config" or isinstance(value, ast.Constant | ast.UnaryOp), member)
            _vet_expression(value, known, classes)
        case ast.AnnAssign(target=ast.Name(), annotation=annotation, value=value):
            _vet_annotation(annotation, classes)
            _vet_expression(annotation, known, classes)
            if value is not None:
                _vet_expression(value, known, classes)
        case _:
            _require(False, member)


def _vet_annotation(node: ast.AST, classes: set[str]) -> None:
    """Text in an annotation is evaluated, unless it stands in a `Literal` or in the arguments of a call."""
    match node:
        case ast.Call():
            return
        case ast.Subscript(value=ast.Name() as name) if _imported_as(name) == "Literal":
            return
        case ast.Constant(value=str(text)):
            _require(text in classes, node)
    for inner in ast.iter_child_nodes(node):
        _vet_annotation(inner, classes)


def _vet_expression(expression: ast.expr, known: set[str], classes: set[str]) -> None:
    for node in ast.walk(expression):
        _require(isinstance(node, EXPRESSIONS), node)
        match node:
            case ast.Name(id=name):
                _require(name in known and (name in TYPES or not hasattr(builtins, name)), node)
            case ast.Call(func=function):
                _require(isinstance(function, ast.Name) and _imported_as(function) in CALLS, node)
            case ast.Attribute(value=value, attr=attribute):
                _require(isinstance(value, ast.Name) and value.id in classes, node)
                _require(not attribute.startswith("_"), node)


def _imported_as(name: ast.Name) -> str:
    return name.id.removesuffix(ALIASED)


def _require(allowed: bool, node: ast.AST) -> None:
    if not allowed:
        raise UnexpectedCode(f"line {getattr(node, 'lineno', '?')}: {ast.unparse(node)[:200]}")
