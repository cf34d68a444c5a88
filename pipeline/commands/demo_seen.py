"""What the demo saw in the workflows' histories, held to what it is to show. Pure."""

import io
import itertools
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from pipeline.errors import DemoFailed
from pipeline.models import Value

ALGORITHM = "speaker-id"
TELLING_CLIP = "bruno-volume.wav"
"""The clip that the template's model takes for another speaker, and the better model does not."""
TABLE_WIDTH = 80
TIMES = "\N{MULTIPLICATION SIGN}"


class Answer(Value):
    """One activity call of a stream that was answered."""

    build_id: str
    clip: str
    speaker: str


class Stretch(Value):
    """Calls in a row that one build answered."""

    build_id: str
    calls: int


class StreamSeen(Value):
    """What the history of one stream shows, over all its runs."""

    workflow_id: str
    answers: tuple[Answer, ...] = ()
    failures: tuple[str, ...] = ()
    """Names of the events that tell of a failure."""
    completed: bool = False
    same_execution: bool = True
    """Whether the workflow that ended is the one that was started, and not another in its place."""


class DemoResult(Value):
    """What the demo showed; every check of it passed."""

    first_build: str
    better_build: str
    streams: tuple[StreamSeen, ...]


def build_of(identity: str) -> str:
    """The build ID in a worker's identity, `algorithm/build@host:pid`.

    Raises:
        DemoFailed: it is not the identity of a worker of the demo's algorithm.
    """
    algorithm, _, rest = identity.partition("/")
    build_id, _, process = rest.partition("@")
    if algorithm != ALGORITHM or not build_id or not process:
        raise failed(f"a call was answered by {identity!r}, which is no worker of {ALGORITHM}")
    return build_id


def stretches(answers: Sequence[Answer]) -> tuple[Stretch, ...]:
    """Which builds answered, in their order, and how many calls each."""
    groups = itertools.groupby(answer.build_id for answer in answers)
    return tuple(Stretch(build_id=build_id, calls=len(list(calls))) for build_id, calls in groups)


def settled(answers: Sequence[Answer], build_id: str, clips: Sequence[str]) -> bool:
    """Whether the build answered the last calls, and has been asked about every clip since it took over."""
    newest_first = itertools.takewhile(lambda answer: answer.build_id == build_id, reversed(answers))
    return {answer.clip for answer in newest_first} >= set(clips)


def speakers_heard(answers: Sequence[Answer], build_id: str, clip: str) -> tuple[str, ...]:
    """What a build answered about a clip, each answer once."""
    heard = (answer.speaker for answer in answers if (answer.build_id, answer.clip) == (build_id, clip))
    return tuple(dict.fromkeys(heard))


def check(streams: Sequence[StreamSeen], first_build: str, better_build: str) -> None:
    """See that every stream changed to the better build and back, and that none failed or was restarted.

    Raises:
        DemoFailed: one did not; the error says which check and which workflow.
    """
    if not streams:
        raise failed("no workflow ran")
    for seen in streams:
        for holds, what in _checks(seen, first_build, better_build):
            if not holds:
                raise failed(
                    f"{seen.workflow_id} {what}", why=f"Its calls were answered by: {sequence(seen)}."
                )


def _checks(seen: StreamSeen, first_build: str, better_build: str) -> Iterator[tuple[bool, str]]:
    """Each check with what is to be said where it does not hold."""
    builds = [stretch.build_id for stretch in stretches(seen.answers)]
    yield not seen.failures, f"failed: {', '.join(seen.failures)}"
    yield seen.same_execution, "was restarted"
    yield seen.completed, "did not complete"
    yield first_build != better_build, "had nothing to change to: both releases are one build"
    yield set(builds) <= {first_build, better_build}, "was answered by a build that nobody released"
    yield builds[:1] == [first_build], f"was not answered by {first_build} first"
    yield better_build in builds, f"did not change to {better_build}"
    yield builds[-1:] == [first_build], f"did not change back to {first_build}"
    before = speakers_heard(seen.answers, first_build, TELLING_CLIP)
    after = speakers_heard(seen.answers, better_build, TELLING_CLIP)
    right = TELLING_CLIP.partition("-")[0]
    yield right not in before, f"heard {right} in {TELLING_CLIP} before the model was improved"
    yield after == (right,), f"did not hear {right} in {TELLING_CLIP} after the model was improved"


def sequence(seen: StreamSeen) -> str:
    """The builds that answered a stream, such as `a x9 → b x8 → a x7`."""
    return (
        " → ".join(f"{stretch.build_id} {TIMES}{stretch.calls}" for stretch in stretches(seen.answers))
        or "nobody"
    )


def table(result: DemoResult) -> str:
    """The result for people."""
    rows = Table(title="Which build answered each running workflow", box=None, pad_edge=False)
    for heading in ("workflow", "build", "calls", TELLING_CLIP):
        rows.add_column(heading, no_wrap=True)
    for seen in result.streams:
        for number, stretch in enumerate(stretches(seen.answers)):
            heard = "/".join(speakers_heard(seen.answers, stretch.build_id, TELLING_CLIP))
            name = "" if number else seen.workflow_id
            rows.add_row(name, stretch.build_id, str(stretch.calls), heard)
    text = io.StringIO()
    Console(file=text, width=TABLE_WIDTH, color_system=None).print(rows)
    return text.getvalue().rstrip()


def failed(what: str, *, why: str = "") -> DemoFailed:
    """An error that says what the demo did not show."""
    return DemoFailed(
        f"The demo failed: {what}.", why=why, now="Run `conduit demo --keep` and read the logs it names."
    )
