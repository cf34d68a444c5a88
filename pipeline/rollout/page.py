"""A release in words: for Temporal's UI, in markdown, and for a terminal. Pure."""

from collections.abc import Iterator

from pipeline.github.escape import code, text
from pipeline.rollout.messages import HealedCall, HealReport, Progress
from pipeline.rollout.plan import Judged, State

MOST_NAMED = 10


def progress(state: State) -> Progress:
    """What people need to know of a release's state."""
    return Progress(
        build_id=state.candidate,
        stage=state.stage,
        percent=state.percent if state.is_ramped else None,
        waits="paused" if state.paused else "held" if state.held else "",
        judged=state.judged,
        fault=state.fault.what if state.fault else "",
    )


def where(now: Progress) -> str:
    """One line: the stage, and what it waits for."""
    share = f" at {now.percent:g} % of the workflows" if now.percent else ""
    waits = f", {now.waits}: waits for a person" if now.waits else ""
    return f"{now.stage}{share}{waits}"


def step_line(judged: Judged) -> str:
    """One line of what a step came to."""
    share = f" {judged.percent:g} %" if judged.percent else ""
    reached = f"; {judged.workflows} workflows or more were reached" if judged.workflows else ""
    return f"{judged.stage}{share}: {judged.verdict}, {judged.reason}{reached}"


def markdown(algorithm: str, now: Progress) -> str:
    """The page in Temporal's UI. Text that a stranger may have written has no effect in it."""
    lines = [f"**{text(algorithm)}**: build {code(now.build_id)}, {text(where(now))}", ""]
    lines += [f"- {text(step_line(judged))}" for judged in now.judged]
    if now.fault:
        lines += ["", f"**{text(now.fault)}**"]
    return "\n".join(lines)


def heal_lines(report: HealReport) -> list[str]:
    """What became of the calls that failed on the bad build."""
    if not report.calls:
        return ["no call was waiting on the bad build"]
    done = sum(call.outcome == "completed" for call in report.calls)
    head = f"{len(report.calls) + report.more} calls were waiting on the bad build, {done} of them completed"
    return [head, *_named(report)]


def _named(report: HealReport) -> Iterator[str]:
    unhealed_first = sorted(report.calls, key=lambda call: call.outcome == "completed")
    yield from (_call_line(call) for call in unhealed_first[:MOST_NAMED])
    left = len(report.calls) + report.more - MOST_NAMED
    if left > 0:
        yield f"  and {left} more"


def _call_line(healed: HealedCall) -> str:
    call = healed.call
    by = f" on {healed.build_id}" if healed.build_id else ""
    failed = f", after: {call.failure}" if call.failure else ""
    return f"  {call.activity} of {call.workflow_id}: {healed.outcome}{by}{failed}"
