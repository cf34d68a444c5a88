"""Checks that a build must pass before any production call reaches it."""

from pipeline.gates.checks import run
from pipeline.gates.messages import GateFigures, GateFinding, GateReport, GateRequest, Verdict
from pipeline.gates.report import approval, approved, failure, lines
from pipeline.gates.states import with_states

__all__ = [
    "GateFigures",
    "GateFinding",
    "GateReport",
    "GateRequest",
    "Verdict",
    "approval",
    "approved",
    "failure",
    "lines",
    "run",
    "with_states",
]
