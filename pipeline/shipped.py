"""The folders that come with the package: the template of a research repo and the sample workflows."""

from pathlib import Path
from typing import Literal


def shipped(name: Literal["activity_template", "workflows"]) -> Path:
    """Find a folder inside the installed package, or beside it in a checkout.

    Raises:
        FileNotFoundError: it is in neither place, so the installation is not whole.
    """
    package = Path(__file__).parent
    for folder in (package / "_shipped" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{name} is neither in {package} nor beside it")
