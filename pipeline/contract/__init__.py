"""Contracts compared: two of them with each other, and one with payloads that were really sent."""

from pipeline.contract.approval import approval, way_out
from pipeline.contract.compare import Change, compare, render
from pipeline.contract.findings import Kind, Side
from pipeline.contract.payload import Problem, check_payload

__all__ = ["Change", "Kind", "Problem", "Side", "approval", "check_payload", "compare", "render", "way_out"]
