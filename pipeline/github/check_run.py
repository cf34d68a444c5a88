"""A check run on the commit, with annotations on the lines at fault."""

from collections.abc import Iterator, Sequence
from typing import Any

from github.CheckRun import CheckRun
from github.Repository import Repository
from pydantic import Field

from pipeline.github import escape
from pipeline.github.page_models import Annotation, Check
from pipeline.models import Sha, Value

BATCH = 50
"""GitHub refuses more annotations in one request."""
LONGEST_MESSAGE = 60_000


class Place(Value):
    """Where a check run is shown."""

    head_sha: Sha
    external_id: str = Field(max_length=200, description="the same for every try of one run")
    details_url: str = Field(description="the page with the whole log")


def publish(repository: Repository, check: Check, place: Place) -> None:
    """Show a check run; a try that broke off is gone on with."""
    run = _begun(repository, check, place) or _begin(repository, check, place)
    for batch, is_last in batches(check.annotations[_stored(run) :]):
        annotations = [_as_json(annotation) for annotation in batch]
        output = {"title": check.title, "summary": check.summary, "annotations": annotations}
        if is_last:
            run.edit(status="completed", conclusion=check.conclusion, output=output)
        else:
            run.edit(output=output)


def batches(annotations: Sequence[Annotation]) -> Iterator[tuple[Sequence[Annotation], bool]]:
    """Divide annotations into what one request takes, each with whether it is the last; one at least."""
    starts = range(0, max(len(annotations), 1), BATCH)
    return ((annotations[start : start + BATCH], start == starts[-1]) for start in starts)


def _begun(repository: Repository, check: Check, place: Place) -> CheckRun | None:
    runs = repository.get_commit(place.head_sha).get_check_runs(check_name=check.name)
    return next((run for run in runs if run.external_id == place.external_id), None)


def _begin(repository: Repository, check: Check, place: Place) -> CheckRun:
    return repository.create_check_run(
        check.name,
        place.head_sha,
        external_id=place.external_id,
        details_url=place.details_url,
        status="in_progress",
    )


def _stored(run: CheckRun) -> int:
    return run.output.annotations_count if run.output else 0


def _as_json(annotation: Annotation) -> dict[str, Any]:
    return {
        "path": annotation.path,
        "start_line": annotation.line,
        "end_line": annotation.line,
        "annotation_level": annotation.level,
        "message": escape.lines(annotation.message)[:LONGEST_MESSAGE],
        **({"title": escape.mute(annotation.title)[:255]} if annotation.title else {}),
    }
