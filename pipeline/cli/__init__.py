"""The command line. Each command imports what it needs when it runs, so that `--help` answers at once."""

from pipeline.cli.running import app, main, run

__all__ = ["app", "main", "run"]
