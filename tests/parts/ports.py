"""Free ports."""

from pipeline.devserver import free_port

__all__ = ["free_port"]
