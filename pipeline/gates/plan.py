"""Which calls a candidate is tried with. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest

from pipeline.models import Build
from pipeline.worker.probe import Example, Reference, Served, Trial


def smoke_trials(build: Build) -> tuple[Trial, ...]:
    """The repo's examples, in their order."""
    return tuple(
        Trial(
            number=number,
            activity=example.activity,
            example=Example(input=example.input, output=example.output),
            limit=build.gates.call_timeout.total_seconds(),
            tolerance=example.tolerance,
            show=True,
        )
        for number, example in enumerate(build.examples)
    )


def latest(answers: Iterable[Sequence[Served]], most: int) -> dict[str, tuple[Reference, ...]]:
    """The latest calls of each activity, from what several workers name, in turns."""
    named = of_each_activity(answers, lambda served: served.references)
    return {activity: calls[:most] for activity, calls in named.items()}


def of_each_activity(
    answers: Iterable[Sequence[Served]], calls: Callable[[Served], Sequence[Reference]]
) -> dict[str, tuple[Reference, ...]]:
    """Calls that several workers name, by activity: each once, the workers in turns."""
    found: dict[str, list[Sequence[Reference]]] = {}
    for each in chain.from_iterable(answers):
        found.setdefault(each.activity, []).append(calls(each))
    return {activity: _merged(lists) for activity, lists in sorted(found.items())}


def _merged(lists: Iterable[Sequence[Reference]]) -> tuple[Reference, ...]:
    in_turns = chain.from_iterable(zip_longest(*lists))
    distinct = {(each.run_id, each.activity_id): each for each in in_turns if each is not None}
    return tuple(distinct.values())


def replay_trials(build: Build, references: Mapping[str, Sequence[Reference]]) -> tuple[Trial, ...]:
    """Recorded calls of the activities that the candidate still has, the activities in turns."""
    names = [activity.name for activity in build.contract.activities if activity.name in references]
    in_turns = chain.from_iterable(
        zip_longest(*([(name, each) for each in references[name]] for name in names))
    )
    return tuple(
        _replay_trial(number, build, *pair)
        for number, pair in enumerate(pair for pair in in_turns if pair is not None)
    )


def _replay_trial(number: int, build: Build, activity: str, reference: Reference) -> Trial:
    gates = build.gates
    limit = gates.call_timeout.total_seconds()
    return Trial(
        number=number,
        activity=activity,
        reference=reference,
        limit=limit,
        # Calls that take about as long as a trial may would tell nothing but that.
        run=activity not in gates.side_effects and reference.seconds < limit / 2,
        tolerance=gates.replay.tolerance,
        show=gates.replay.show_values,
    )
