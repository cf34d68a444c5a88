"""Algorithm Conduit: a researcher's commit, taken to running Temporal workflows by itself."""

__version__ = "0.1.0"
