"""`python -m pipeline` is `conduit`."""

from pipeline.cli import main

main()
