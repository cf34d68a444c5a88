"""What a placeholder answers: the examples that were given, else values that fit the schema. All of it is checked."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from pipeline import stubs
from pipeline.contract import Problem, check_payload
from pipeline.contract.schema import Document
from pipeline.errors import UnfitAnswers
from pipeline.models import Value
from pipeline.placeholders.program import Stand, Stands
from pipeline.worker.contract import ActivityContract, Contract, Schema

GENERATED = 8
"""Values for one activity; which of them answers a call follows from the call's argument."""
TRIES = 200
MODULE = "placeholder_models"
_EXAMPLES = TypeAdapter(dict[str, list[Any]])

How = Literal["examples", "generated", "held"]


class Plan(Value):
    """What a placeholder will do."""

    stands: Stands
    how: Mapping[str, How]
    """By activity."""


def plan(algorithm: str, contract: Contract, examples: Mapping[str, list[Any]], *, hold: bool) -> Plan:
    """Decide what answers each activity.

    Raises:
        UnfitAnswers: an example names an activity that the contract lacks or does not fit it, or no value that
            fits could be generated.
    """
    _refuse_unknown(contract, examples)
    given = {each.name: _given(contract, each, examples) for each in contract.activities}
    wanted = [name for name, answers in given.items() if not answers]
    made = {} if hold or not wanted else _generated(algorithm, contract, wanted)
    how: dict[str, How] = {
        name: "held" if hold else "examples" if answers else "generated" for name, answers in given.items()
    }
    stands = tuple(
        Stand(contract=each, answers=None if hold else given[each.name] or made[each.name])
        for each in contract.activities
    )
    return Plan(stands=Stands(activities=stands), how=how)


def read_examples(file: Path) -> dict[str, list[Any]]:
    """Read a file of examples: a JSON object, a list of answers under each activity's name.

    Raises:
        UnfitAnswers: it is not one.
    """
    try:
        return _EXAMPLES.validate_json(file.read_bytes())
    except OSError as error:
        raise _unfit(f"{file} cannot be read.", str(error)) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise _unfit(f"{file} is no file of examples.", f"{first['msg']}.") from None


def _unfit(what: str, why: str) -> UnfitAnswers:
    return UnfitAnswers(
        what,
        why=why,
        now='Write {"activity": [answer, …]} as JSON, each answer as the activity would give it.',
    )


def _refuse_unknown(contract: Contract, examples: Mapping[str, list[Any]]) -> None:
    names = {each.name for each in contract.activities}
    unknown = sorted(examples.keys() - names)
    if unknown:
        raise _unfit(
            f"The contract has no activity {unknown[0][:80]!r}.",
            f"Its activities: {', '.join(sorted(names))}.",
        )


def _given(contract: Contract, each: ActivityContract, examples: Mapping[str, list[Any]]) -> tuple[Any, ...]:
    """The file's examples, else those that the schema itself has."""
    output: Schema = each.output or {}
    model = Document(output).named(output)
    own = model.get("examples", ()) if isinstance(model, dict) else ()
    answers = tuple(examples.get(each.name, ()) or own)
    for number, answer in enumerate(answers, start=1):
        if problems := check_payload(contract, each.name, "output", answer):
            raise _unfit(f"Example {number} of {each.name} does not fit the contract.", _told(problems))
    return answers


def _told(problems: tuple[Problem, ...]) -> str:
    return "; ".join(f"{problem.path}: {problem.text}" for problem in problems[:3])


def _generated(algorithm: str, contract: Contract, wanted: list[str]) -> dict[str, tuple[Any, ...]]:
    """Values for each wanted activity that the contract itself accepts; the same every time."""
    kinds = _result_types(algorithm, contract)
    return {name: _fitting(contract, name, kinds[name]) for name in wanted}


def _fitting(contract: Contract, name: str, kind: Any) -> tuple[Any, ...]:
    if kind is None:
        return (None,)
    found: dict[str, Any] = {}
    for value in _values(kind):
        if not check_payload(contract, name, "output", value):
            found.setdefault(json.dumps(value, sort_keys=True), value)
        if len(found) == GENERATED:
            break
    if not found:
        raise _unfit(
            f"No answer of {name} could be generated.", f"{TRIES} values were made, and none fits its schema."
        )
    return tuple(found.values())


def _values(kind: Any) -> Iterator[Any]:
    """Values of a type as JSON has them; one that the type itself refuses is passed over."""
    # Imported here because they take half a second, which `conduit --help` has not.
    from polyfactory.exceptions import FactoryException
    from polyfactory.factories.pydantic_factory import ModelFactory
    from pydantic import create_model
    from pydantic_core import to_jsonable_python

    class Factory(ModelFactory[Any]):
        __is_base_factory__ = True

        @classmethod
        def get_provider_map(cls) -> dict[Any, Any]:
            return {**super().get_provider_map(), **_times(cls.__random__)}

    factory = Factory.create_factory(create_model("Answer", value=(kind, ...)))
    for seed in range(TRIES):
        factory.seed_random(seed)
        try:
            yield to_jsonable_python(factory.build(), by_alias=True)["value"]
        except (ValidationError, FactoryException):
            continue


def _times(random: Random) -> dict[Any, Callable[[], Any]]:
    """The generator's own times depend on today, and its lengths of time on nothing that can be repeated."""

    def moment() -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(31_536_000))

    return {
        datetime: moment,
        date: lambda: moment().date(),
        time: lambda: moment().timetz(),
        timedelta: lambda: timedelta(seconds=random.randrange(3600)),
    }


def _result_types(algorithm: str, contract: Contract) -> dict[str, Any]:
    """The type of each activity's result, as its stub has it."""
    module = ModuleType(MODULE)
    sys.modules[MODULE] = module  # pydantic looks a model's module up
    text = stubs.generate(algorithm, contract)
    exec(compile(text, MODULE, "exec"), module.__dict__)  # noqa: S102  # vetted: declarations alone
    return {
        activity: vars(module)[function].__annotations__["return"]
        for activity, function in stubs.functions(contract).items()
    }
