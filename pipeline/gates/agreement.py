"""The contract gate: what a build takes and gives, beside what Current does. Pure."""

from collections.abc import Collection, Iterator

from pipeline.contract import Change, approval, compare, render, way_out
from pipeline.contract.words import counted
from pipeline.gates.messages import MOST_EXAMPLES, GateFinding, Verdict
from pipeline.gates.texts import short
from pipeline.worker.contract import Contract


def contract_findings(
    current: Contract | None, candidate: Contract, approvals: Collection[str]
) -> tuple[GateFinding, ...]:
    """What became incompatible, one finding for each activity; it stops a release unless it is approved."""
    if current is None:
        return ()
    changes = compare(current, candidate)
    digest = approval(changes)
    approved = digest in approvals
    return tuple(_findings(changes, digest, approved=approved))


def _findings(changes: tuple[Change, ...], digest: str, *, approved: bool) -> Iterator[GateFinding]:
    for activity in sorted({change.activity for change in changes if change.breaking}):
        breaking = [change for change in changes if change.breaking and change.activity == activity]
        _, *told = render(breaking)
        what = f"{counted(len(breaking), 'breaking change')} of the contract"
        yield GateFinding(
            gate="contract",
            verdict=Verdict.PASS if approved else Verdict.FAIL,
            activity=activity,
            what=f"{what}, approved as {digest}" if approved else what,
            now="" if approved else short(way_out(digest)),
            approval=digest,
            examples=tuple(short(line.strip()) for line in told[:MOST_EXAMPLES]),
        )


def approved_activities(findings: tuple[GateFinding, ...]) -> frozenset[str]:
    """The activities whose change somebody approved: that callers' inputs no longer fit is known."""
    return frozenset(
        finding.activity
        for finding in findings
        if finding.gate == "contract" and finding.verdict is Verdict.PASS
    )
