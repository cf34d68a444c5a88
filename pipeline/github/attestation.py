"""GitHub's word for where an image was built: asked of the `gh` program, which checks the signature itself."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from pipeline.command import run
from pipeline.errors import NotAttested, ToolMissing
from pipeline.models import Image, Sha, Value

PATIENCE = 120.0
"""Seconds for gh's answer."""


class Claim(Value):
    """What must be signed of an image."""

    image: str
    """By digest."""
    repository: str
    """`owner/name` of the research repo."""
    workflow: str
    """`owner/name/path` of the workflow file that built it."""
    sha: Sha
    """The commit it was built of."""


def question(claim: Claim) -> tuple[str, ...]:
    """The call of gh that answers with success where the claim is signed."""
    return (
        *("gh", "attestation", "verify", f"oci://{claim.image}", f"--repo={claim.repository}"),
        *(f"--signer-workflow={claim.workflow}", f"--source-digest={claim.sha}"),
    )


def verify(claim: Claim, environment: Mapping[str, str]) -> None:
    """See that a signature says so.

    Raises:
        NotAttested: none does.
        ToolMissing: there is no `gh` here.
    """
    try:
        asked = run(question(claim), cwd=Path.cwd(), environment=environment, timeout=PATIENCE)
    except FileNotFoundError:
        raise ToolMissing(
            "The image's signature cannot be verified.",
            why="The program `gh`, which does it, is not installed.",
            now="Install GitHub's command line on the runner, or leave `verify-attestation` out.",
        ) from None
    except subprocess.TimeoutExpired:
        raise NotAttested(
            "Nobody said in time who signed for the image.",
            why=f"`gh attestation verify` did not end in {PATIENCE:.0f} seconds.",
            now="See GitHub's status page, and run the job again later.",
        ) from None
    if asked.returncode != 0:
        raise NotAttested(
            "No signature says that this workflow built the image of this commit.",
            why=asked.tail(5),
            now="See the job Attest of this run; with `attest: never` there is no signature to verify.",
        )


def image_of(artifact: object) -> str:
    """The image of an artifact, by digest.

    Raises:
        NotAttested: it is none; environments are signed by nobody.
    """
    if isinstance(artifact, Image) and artifact.repository:
        return artifact.reference
    raise NotAttested(
        "The build has no image in a registry that a signature could be about.",
        now='Leave `verify-attestation` out, or set runtime = "docker" in [tool.conduit].',
    )
