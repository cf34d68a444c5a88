"""Typed stubs: one Python module through which engineers call an algorithm's activities."""

from pipeline.stubs.check import check, recorded
from pipeline.stubs.module import functions, generate

__all__ = ["check", "functions", "generate", "recorded"]
