"""Between our errors, what an activity's failure carries, and a release's fault."""

from collections.abc import Iterable, Iterator

from temporalio.exceptions import ActivityError, ApplicationError

from pipeline import errors
from pipeline.errors import ConduitError
from pipeline.rollout.messages import Order, ReleaseRequest
from pipeline.rollout.plan import Fault


def fault_of(error: ConduitError) -> Fault:
    """An error that the build is to blame for."""
    return Fault(error=type(error).__name__, **error.fields(), by_the_build=True)


def causes(error: BaseException) -> Iterator[BaseException]:
    """What an error came of, and what that came of."""
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__


def restored(failure: BaseException) -> ConduitError | None:
    """Our error that a step or a workflow failed by.

    It may lie deep: a step that was tried until its time was over has a timeout in between.
    """
    for cause in causes(failure):
        if not isinstance(cause, ApplicationError) or not cause.type or not cause.details:
            continue
        if error := errors.restore(cause.type, cause.details[0]):
            return error
    return None


def fault_of_step(failed: ActivityError) -> Fault:
    """A step that could not be done: the build may be good, and is not quarantined."""
    if error := restored(failed):
        return fault_of(error).model_copy(update={"by_the_build": False})
    return Fault(
        error=errors.TemporalRefused.__name__,
        what="A step of the release failed for a reason that was not foreseen.",
        why=str(failed.cause or failed),
        now="Look at it in Temporal's UI.",
        by_the_build=False,
    )


def changed_since(request: ReleaseRequest, current: str | None) -> Fault | None:
    """Another build than the one that this was compared with is Current: it may be a newer one."""
    own, over = request.build.build_id, request.over
    if over is None or current in (*over, request.supersedes, own):
        return None
    return Fault(
        error=errors.RoutingChanged.__name__,
        what=f"Another build of {request.build.algorithm} became Current just now: {current or 'none'}.",
        now="Run the command again.",
        by_the_build=False,
    )


def aborted(order: Order) -> Fault:
    """A person's word."""
    return Fault(
        error=errors.Aborted.__name__,
        what=f"{order.by} aborted the release.",
        why=order.reason,
        now="Commit a better build, or deliver this one again with --force and --reason.",
        by_the_build=True,
    )


def after_undo(fault: Fault, live: str | None, healed: Iterable[str]) -> Fault:
    """Say where calls go, now that the routing is as it was, and which of them recovered."""
    # By somebody else: it is not ours to tell.
    elsewhere = fault.error in (errors.RoutingChanged.__name__, errors.Superseded.__name__)
    where = "" if elsewhere else f"All calls go to build {live}." if live else "No build is live."
    return fault.model_copy(
        update={
            "why": " ".join(map(_sentence, filter(None, [fault.why, where]))),
            "log": "\n".join(filter(None, [fault.log, *healed])),
        }
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def failure(fault: Fault) -> ApplicationError:
    """What the workflow fails with: the command that follows makes our error of it again."""
    fields = fault.model_dump(include={"what", "why", "now", "log"})
    return ApplicationError(fault.what, fields, type=fault.error, non_retryable=True)
