"""The folder, outside the clone, in which parts that are slow to make are kept between runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$CONDUIT_CI_CACHE`, else `~/.cache/conduit-ci`; made if it is not there."""
    folder = Path(os.environ.get("CONDUIT_CI_CACHE") or Path.home() / ".cache" / "conduit-ci")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
