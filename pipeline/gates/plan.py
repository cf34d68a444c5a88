"""Which calls a candidate is tried with. Pure."""

from collections.abc import Iterable, Mapping, Sequence
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
    found: dict[str, list[Sequence[Reference]]] = {}
    for served in answers:
        for each in served:
            found.setdefault(each.activity, []).append(each.references)
    return {activity: merged(lists)[:most] for activity, lists in sorted(found.items())}


def merged(lists: Iterable[Sequence[Reference]]) -> tuple[Reference, ...]:
    """Calls that several lists name, each once, the lists in turns."""
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
