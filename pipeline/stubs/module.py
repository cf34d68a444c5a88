"""The module of typed calls, put together from a contract."""

import ast
import json
import textwrap
from collections.abc import Iterator, Mapping

from pipeline.errors import InvalidContract
from pipeline.models import algorithm_name
from pipeline.stubs.check import packed
from pipeline.stubs.generator import model_code
from pipeline.stubs.models import Call, Models
from pipeline.stubs.names import plain_words
from pipeline.stubs.vetting import UnexpectedCode, vetted
from pipeline.worker.contract import Contract

WIDTH = 100
BASE_MODULE = (
    "stub_bases"  # the generator has to import the base classes from somewhere; they stand in the module
)

HEADER = '''"""Typed calls of the activities of `{algorithm}`, for workflows.

Made by `conduit stubs {algorithm}`. Do not edit it: make it again when `conduit stubs --check` fails.
Workers of these workflows need `pydantic_data_converter` of `temporalio.contrib.pydantic` in their client.
"""

'''

DEFAULTS = """
DEFAULTS: workflow.ActivityConfig = {{
    "task_queue": "{algorithm}",
    "start_to_close_timeout": timedelta(minutes=10),
    # The worker heartbeats for every call, as long as it lives: one that no worker has is soon tried again.
    "heartbeat_timeout": timedelta(seconds=30),
    # No limit of attempts: a call that fails on a bad build completes on the good one.
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=30)),
}}


async def _call(activity: str, arguments: list[Any], result: Any, options: workflow.ActivityConfig) -> Any:
    # The summary is what people see of the call in Temporal's UI; the worker's identity names the build.
    summary = f"{algorithm}: {{activity}}"
    config: workflow.ActivityConfig = {{"summary": summary, **DEFAULTS, **options}}
    return await workflow.execute_activity(activity, args=arguments, result_type=result, **config)
"""

MESSAGE = '''

class Message(BaseModel):
    """A field that was left out and has no default here is not sent: the algorithm's own default holds."""

    model_config = ConfigDict(populate_by_name=True)

    @model_serializer(mode="wrap")
    def _without_what_was_left_out(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        left_out = {
            key
            for name, field in type(self).model_fields.items()
            if name not in self.model_fields_set and getattr(self, name) is None
            for key in (name, field.alias)
        }
        return {key: value for key, value in fields(self).items() if key not in left_out}
'''

BASE64_MESSAGE = '''

class Base64Message(Message):
    """Bytes travel as base64."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
'''

IMPORTS = {
    "datetime": {"timedelta"},
    "typing": {"Any"},
    "temporalio": {"workflow"},
    "temporalio.common": {"RetryPolicy"},
    "typing_extensions": {"Unpack"},
}
MESSAGE_IMPORTS = {"BaseModel", "ConfigDict", "SerializerFunctionWrapHandler", "model_serializer"}
STANDARD_LIBRARY = ("builtins", "datetime", "enum", "ipaddress", "pathlib", "typing", "uuid")


def generate(algorithm: str, contract: Contract) -> str:
    """Write the Python module through which engineers call an algorithm.

    It has the models and one async function for each activity; it needs `temporalio` and `pydantic` only.

    Raises:
        InvalidContract: no code can be made of the contract.
        ValueError: `algorithm` cannot name an algorithm.
    """
    try:
        models = Models(contract)
        code = model_code(models, BASE_MODULE, WIDTH)
        tree = vetted(code, BASE_MODULE)
        missing = models.definitions.keys() - _defined(tree)
        if missing:
            raise UnexpectedCode(f"no model was made of {', '.join(sorted(missing))}")
    except (UnexpectedCode, RecursionError) as error:
        raise InvalidContract(
            f"No stubs can be made of the contract of {algorithm[:80]!r}.",
            why=str(error),
            now="Simplify the types of its activities, or report the contract as a fault of the conduit.",
        ) from error
    return "".join(_module(algorithm_name(algorithm), contract, models, code, tree))


def functions(contract: Contract) -> dict[str, str]:
    """The name of each activity's function in the module, by the activity's."""
    return {call.activity: call.function for call in Models(contract).calls}


def _defined(tree: ast.Module) -> set[str]:
    classes = {statement.name for statement in tree.body if isinstance(statement, ast.ClassDef)}
    aliases = {ast.unparse(each.targets[0]) for each in tree.body if isinstance(each, ast.Assign)}
    return classes | aliases


def _module(algorithm: str, contract: Contract, models: Models, code: str, tree: ast.Module) -> Iterator[str]:
    yield HEADER.format(algorithm=algorithm)
    yield from _imports(tree, _needed(models))
    yield f'\nCONTRACT_DIGEST = "{contract.digest}"\n'
    yield DEFAULTS.format(algorithm=algorithm)
    if models.definitions:
        yield MESSAGE
    if models.base64_models:
        yield BASE64_MESSAGE
    yield from _declarations(code, tree)
    for call in models.calls:
        yield from _function(call)
    yield "\n\n# What these stubs were made from, for `conduit stubs --check`.\nCONTRACT = (\n"
    yield from (f'    "{line}"\n' for line in textwrap.wrap(packed(contract), WIDTH - 6))
    yield ")\n"


def _declarations(code: str, tree: ast.Module) -> Iterator[str]:
    lines = code.splitlines()
    for statement in tree.body:
        if not isinstance(statement, ast.ImportFrom):
            yield "\n\n" + "\n".join(lines[statement.lineno - 1 : statement.end_lineno]) + "\n"


def _needed(models: Models) -> dict[str, set[str]]:
    return {**IMPORTS, "pydantic": MESSAGE_IMPORTS} if models.definitions else IMPORTS


def _imports(tree: ast.Module, needed: Mapping[str, set[str]]) -> Iterator[str]:
    """One line for each module, as isort would have them."""
    names = {module: set(its) for module, its in needed.items()}
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module and statement.module != BASE_MODULE:
            names.setdefault(statement.module, set()).update(map(ast.unparse, statement.names))
    for standard in (True, False):
        for module in sorted(module for module in names if (module in STANDARD_LIBRARY) == standard):
            its = sorted(names[module], key=_isort_key)
            yield _wrapped(f"from {module} import ", ", ".join(its), "(", ")", "\n")
        yield "\n" if standard else ""


def _isort_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


def _function(call: Call) -> Iterator[str]:
    parameters = [f"argument: {call.argument}"] if call.argument else []
    inside = ", ".join([*parameters, "**options: Unpack[workflow.ActivityConfig]"])
    yield _wrapped(f"\n\nasync def {call.function}(", inside, "", "", f") -> {call.result}:\n")
    doc = call.doc or f"Call `{plain_words(call.activity)}`."
    yield f'    """{doc}"""\n'
    arguments = "argument" if call.argument else ""
    called = f"await _call({_literal(call.activity)}, [{arguments}], {call.result}, options)"
    if call.result is None:
        yield f"    {called}\n"
    else:
        yield f"    result: {call.result} = {called}\n    return result\n"


def _wrapped(start: str, inside: str, opening: str, closing: str, end: str) -> str:
    """One line if it fits, else what is inside on a line of its own."""
    if len(start.lstrip()) + len(inside) + len(end) <= WIDTH:
        return f"{start}{inside}{end}"
    return f"{start}{opening}\n    {inside}\n{closing}{end}"


def _literal(text: str) -> str:
    """Text as Python writes it, in double quotes where that is safe."""
    return json.dumps(text) if text.isascii() else repr(text)
