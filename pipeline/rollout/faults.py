"""Between our errors, what an activity's failure carries, and a release's fault."""

from collections.abc import Iterable

from temporalio.exceptions import ActivityError, ApplicationError

from pipeline import errors
from pipeline.errors import ConduitError
from pipeline.rollout.messages import Order, ReleaseRequest
from pipeline.rollout.plan import Fault


def fault_of(error: ConduitError) -> Fault:
    """An error that the build is to blame for."""
    return Fault(error=type(error).__name__, **error.fields(), by_the_build=True)


def fault_of_step(failed: ActivityError) -> Fault:
    """A step that could not be done: the build may be good, and is not quarantined."""
    cause = failed.__cause__
    while cause is not None:  # a step that was tried until its time was over has a timeout in between
        if isinstance(cause, ApplicationError) and cause.type in errors.all_errors() and cause.details:
            return Fault(error=cause.type, **cause.details[0], by_the_build=False)
        cause = cause.__cause__
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
    elsewhere = fault.error == errors.RoutingChanged.__name__  # by somebody else: it is not ours to tell
    where = "" if elsewhere else f"All calls go to build {live}." if live else "No build is live."
    return fault.model_copy(
        update={
            "why": " ".join(filter(None, [fault.why, where])),
            "log": "\n".join(filter(None, [fault.log, *healed])),
        }
    )


def failure(fault: Fault) -> ApplicationError:
    """What the workflow fails with: the command that follows makes our error of it again."""
    fields = fault.model_dump(include={"what", "why", "now", "log"})
    return ApplicationError(fault.what, fields, type=fault.error, non_retryable=True)
