"""The gate of saved state: what running calls have saved must be readable before the candidate gets one of them."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client

from pipeline.contract.words import counted
from pipeline.gates.messages import MOST_EXAMPLES, GateFinding, GateReport, Verdict
from pipeline.gates.probing import of_build, probe
from pipeline.gates.texts import short
from pipeline.models import Build
from pipeline.worker.probe import ProbeRequest, SavedCall, Unread

LIMIT = timedelta(seconds=60)
WHAT_NOW = "Add the migration from that version to the checkpoint, and push again."


async def with_states(
    client: Client, build: Build, calls: Sequence[SavedCall], report: GateReport
) -> GateReport:
    """The report of a candidate's gates with what becomes of the calls that are under way.

    Args:
        client: of the namespace that the candidate is registered in.
        build: the candidate.
        calls: those under way on other builds.
        report: of the gates before; where they failed, the candidate is not asked.
    """
    if report.verdict is Verdict.FAIL or not calls:
        return report
    answer = await probe(client, of_build(build), ProbeRequest(saved=tuple(calls)), LIMIT)
    unread = answer.unread if answer else ()  # a host that is older has no checkpoints either
    return GateReport(
        verdict=Verdict.FAIL if unread else report.verdict,
        findings=(*report.findings, *findings(unread), *staying(calls)),
        figures=report.figures,
        seconds=report.seconds,
    )


def staying(calls: Sequence[SavedCall]) -> tuple[GateFinding, ...]:
    """A remark that names the calls which cannot be handed over to the candidate, if there are any."""
    last = [call for call in calls if call.last]
    if not last:
        return ()
    what = f"on the last attempt, to end on the build that has it: {counted(len(last), 'running call')}"
    named = tuple(short(f"{call.activity} of workflow {call.workflow_id}") for call in last)
    return (GateFinding(gate="state", verdict=Verdict.PASS, what=what, examples=named[:MOST_EXAMPLES]),)


def findings(unread: Sequence[Unread]) -> tuple[GateFinding, ...]:
    """One finding for each activity whose calls the candidate could not go on with."""
    counts = Counter(one.call.activity for one in unread)
    return tuple(
        GateFinding(
            gate="state",
            verdict=Verdict.FAIL,
            activity=activity,
            what=f"this build does not read the state that {counted(count, 'running call')} saved",
            now=WHAT_NOW,
            examples=tuple(
                short(f"workflow {one.call.workflow_id}: {one.why}")
                for one in unread
                if one.call.activity == activity
            )[:MOST_EXAMPLES],
        )
        for activity, count in sorted(counts.items())
    )
