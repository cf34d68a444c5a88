"""A gate report for people, and the error that a release fails with. Pure."""

from collections.abc import Iterator

from pipeline.errors import ConduitError, ContractBroken, GateFailed
from pipeline.gates.messages import GateFigures, GateFinding, GateReport, Verdict

MARKS = {Verdict.PASS: "·", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?"}


def lines(report: GateReport) -> list[str]:
    """The report as lines: what failed first, then remarks and figures."""
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    found = sorted(report.findings, key=lambda finding: order.index(finding.verdict))
    return [
        *(line for finding in found for line in _finding(finding)),
        *(_figures(figures) for figures in report.figures),
    ]


def failure(report: GateReport) -> ConduitError | None:
    """The error of a report that failed: ContractBroken where only the contract did, else GateFailed."""
    failed = [finding for finding in report.findings if finding.verdict is Verdict.FAIL]
    if report.verdict is not Verdict.FAIL:
        return None
    gates = sorted({finding.gate for finding in failed})
    kind = ContractBroken if gates == ["contract"] else GateFailed
    first = failed[0] if failed else None
    return kind(
        f"The build did not pass: {' and '.join(gates)}.",
        why=_place(first) + first.what if first else "",
        now=first.now if first and first.now else "Mend it and push again; production is as it was.",
        log="\n".join(lines(report)),
    )


def approval(report: GateReport) -> str:
    """What would have let a build pass that was stopped; empty where no approval could."""
    failed = {finding.approval for finding in report.findings if finding.verdict is Verdict.FAIL}
    return failed.pop() if len(failed) == 1 else ""


def approved(report: GateReport) -> str:
    """The breaking change that passed since somebody approved it; empty where there is none."""
    passed = {finding.approval for finding in report.findings if finding.verdict is Verdict.PASS}
    return max(passed, default="")


def _finding(finding: GateFinding) -> Iterator[str]:
    yield f"{MARKS[finding.verdict]} {finding.gate}: {_place(finding)}{finding.what}"
    yield from (f"    {example}" for example in finding.examples)


def _place(finding: GateFinding) -> str:
    return f"{finding.activity}: " if finding.activity else ""


def _figures(figures: GateFigures) -> str:
    told = [f"{figures.calls} calls", f"{figures.failed} failed"]
    if figures.different:
        told.append(f"{figures.different} different")
    if figures.p50 is not None and figures.p95 is not None:
        told.append(f"p50 {figures.p50:.3f} s, p95 {figures.p95:.3f} s")
    return f"· {figures.gate}: {figures.activity}: {', '.join(told)}"
