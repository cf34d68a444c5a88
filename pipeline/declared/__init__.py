"""Contracts that stand in a file: declared by an engineer, or written by the conduit."""

from pipeline.declared.file import read

__all__ = ["read"]
