"""One JSON Schema document for a whole contract: every model under a name that is safe and its own."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema_rs

from pipeline.contract import Side
from pipeline.errors import InvalidContract
from pipeline.stubs.names import class_name, function_name, plain_words, unused
from pipeline.worker.contract import ActivityContract, Contract, Schema

BUILTINS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
EMPTY: dict[str, Any] = {"array": [], "object": {}}
LITERALS = {"string": str, "integer": int, "number": int | float, "boolean": bool}
# The formats for which Python has a type that writes back what it has read. Others stay text: a password
# would be sent as asterisks, a URL rewritten, and an e-mail address needs another package.
TYPED_FORMATS = {"date-time", "date", "time", "duration", "uuid", "binary", "path", "ipv4", "ipv6"}
BASE64 = "base64url"

NAMED = ("properties", "patternProperties")
LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
SINGLE = ("items", "additionalProperties", "propertyNames")
KEPT = (
    *("type", "enum", "const", "required", "pattern", "minLength", "maxLength", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems"),
)


class Call(NamedTuple):
    """One activity as a function."""

    activity: str
    function: str
    doc: str
    argument: str | None
    result: str | None


class Models:
    """Collects the models of a contract; models that are equal in all that they refer to become one.

    Raises:
        InvalidContract: a schema is not JSON Schema, or refers to what the contract does not contain.
    """

    def __init__(self, contract: Contract) -> None:
        self.definitions: dict[str, Schema] = {}
        self.base64_models: set[str] = set()
        self._names: dict[str, str] = {}
        self.calls = [self._call(activity) for activity in contract.activities]
        functions: dict[str, None] = {}
        for index, call in enumerate(self.calls):
            name = unused(call.function, functions.keys() | self.definitions.keys())
            functions[name] = None
            self.calls[index] = call._replace(function=name)

    def literal_fields(self) -> set[str]:
        """The fields that hold a choice of values that has no name of its own."""
        return {
            name
            for model in self.definitions.values()
            for name, field in model.get("properties", {}).items()
            if any("enum" in node for node in _nodes(field))
        }

    def _call(self, activity: ActivityContract) -> Call:
        return Call(
            activity=activity.name,
            function=function_name(activity.name),
            doc=plain_words(activity.doc),
            argument=self._annotation(activity, "input"),
            result=self._annotation(activity, "output"),
        )

    def _annotation(self, activity: ActivityContract, side: Side) -> str | None:
        root = activity.input if side == "input" else activity.output
        if root is None or root == {"type": "null"}:
            return None
        if not jsonschema_rs.meta.is_valid(root):
            raise _invalid(f"The {side} of activity {activity.name[:80]!r} is not JSON Schema.")
        document = _Document(self, root, side, activity.name)
        node = {key: value for key, value in root.items() if key != "$defs"}
        if "$ref" in node:
            return document.model(node["$ref"])
        if not node.keys() - {"title", "description", "default"}:
            return "Any"
        if node.keys() <= {"type", "title", "description"} and str(node.get("type")) in BUILTINS:
            return BUILTINS[node["type"]]
        has_name = "title" in node and ("properties" in node or "enum" in node)
        return document.add(node["title"] if has_name else f"{activity.name} {side}", node)

    def named(self, wanted: str, identity: str, side: Side) -> tuple[str, bool]:
        """The class for a schema, and whether it is a new one."""
        if identity in self._names:
            return self._names[identity], False
        name = unused(class_name(wanted), self.definitions, (side.capitalize(), "Model"))
        self._names[identity] = name
        self.definitions[name] = {}  # taken, while what it refers to is named
        return name, True


class _Document:
    """The `$defs` of one schema."""

    def __init__(self, models: Models, root: Schema, side: Side, activity: str) -> None:
        self._models = models
        self._definitions: dict[str, Schema] = root.get("$defs", {})
        self._side = side
        self._activity = activity
        self._holder = ""

    def model(self, reference: str) -> str:
        """The class that a reference means."""
        key = reference.removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
        if key not in self._definitions:
            raise _invalid(
                f"The schema of activity {self._activity[:80]!r} refers to {reference[:80]!r}.",
                why="The contract contains no such definition.",
            )
        node = self._definitions[key]
        return self.add(key, node if isinstance(node, dict) else {})

    def add(self, wanted: str, node: Schema) -> str:
        """The class for a schema, made if there is none that is equal."""
        identity = json.dumps([wanted, node, self._reached(node)], sort_keys=True)
        name, new = self._models.named(wanted, identity, self._side)
        if new:
            holder, self._holder = self._holder, name
            self._models.definitions[name] = self._cleaned(node)
            self._holder = holder
        return name

    def _reached(self, node: Schema) -> dict[str, Schema]:
        reached: dict[str, Schema] = {}
        pending = [node]
        while pending:
            for each in _nodes(pending.pop()):
                key = each.get("$ref", "").removeprefix("#/$defs/")
                if key in self._definitions and key not in reached:
                    reached[key] = self._definitions[key]
                    pending.append(reached[key])
        return reached

    def _cleaned(self, node: Any) -> Any:
        """The schema with nothing in it but types, limits, safe defaults and words."""
        if not isinstance(node, dict):
            return node
        clean: Schema = {key: node[key] for key in KEPT if key in node}
        for key in NAMED:
            if key in node:
                clean[key] = {name: self._cleaned(each) for name, each in node[key].items()}
        for key in LISTED:
            if key in node:
                clean[key] = [self._cleaned(each) for each in node[key]]
        for key in SINGLE:
            if key in node:
                clean[key] = self._cleaned(node[key])
        return clean | self._annotations(node)

    def _annotations(self, node: Schema) -> Schema:
        found: Schema = {}
        if "$ref" in node:
            found["$ref"] = f"#/$defs/{self.model(node['$ref'])}"
        if words := plain_words(str(node.get("description", ""))):
            found["description"] = words
        if node.get("format") == BASE64:
            self._models.base64_models.add(self._holder)
            found["format"] = "binary"
        elif node.get("format") in TYPED_FORMATS:
            found["format"] = node["format"]
        match node.get("discriminator"):
            case {"propertyName": str(name)}:
                found["discriminator"] = {"propertyName": name}
        if "default" in node and self._keeps_default(node, node["default"]):
            found["default"] = node["default"]
        return found

    def _keeps_default(self, node: Schema, default: Any) -> bool:
        """Whether a default is one that Python writes as it stands.

        A field whose default is dropped here may be left out by callers: the algorithm's own default holds.
        """
        if "$ref" in node:
            target = self._definitions.get(node["$ref"].removeprefix("#/$defs/"))
            return isinstance(target, dict) and default in target.get("enum", ())
        if "anyOf" in node:
            return any(self._keeps_default(each, default) for each in node["anyOf"] if isinstance(each, dict))
        if "enum" in node or "const" in node:
            return default in node.get("enum", [node.get("const")])
        if node.get("type") == "null":
            return default is None
        if str(node.get("type")) in EMPTY:
            return bool(default == EMPTY[node["type"]]) and not node.get("uniqueItems")
        return "format" not in node and _is_plain(node.get("type"), default)


def _invalid(what: str, why: str = "") -> InvalidContract:
    return InvalidContract(what, why=why, now="Make the contract again with `conduit contract`.")


def _is_plain(kind: Any, default: Any) -> bool:
    if not isinstance(kind, str) or (isinstance(default, bool) and kind != "boolean"):
        return False
    return kind in LITERALS and isinstance(default, LITERALS[kind])


def _nodes(node: Any) -> Iterator[Schema]:
    """A schema and all that are written inside it."""
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            yield each
            pending.extend(inner for key in NAMED for inner in each.get(key, {}).values())
            pending.extend(inner for key in LISTED for inner in each.get(key, ()))
            pending.extend(each[key] for key in SINGLE if key in each)
