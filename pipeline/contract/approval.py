"""How a breaking change is approved: by a digest of this one change, which fits no other."""

import hashlib
import json
from collections.abc import Iterable

from pipeline.contract.compare import Change

LENGTH = 12


def approval(changes: Iterable[Change]) -> str:
    """The digest of the breaking ones among `changes`; "" if there are none. Their order does not matter."""
    breaking = sorted(
        (each.activity, each.side or "", each.path, str(each.kind), each.text)
        for each in changes
        if each.breaking
    )
    return hashlib.sha256(json.dumps(breaking).encode()).hexdigest()[:LENGTH] if breaking else ""


def way_out(digest: str) -> str:
    """What to do about a breaking change."""
    return (
        "Offer the new form as an activity of another name beside the old one, or, if no caller needs the old "
        f'one, approve this one change: `conduit deliver --approve {digest} --reason "…"`, or '
        f'`approve-breaking = ["{digest}"]` in [tool.conduit.gates].'
    )
