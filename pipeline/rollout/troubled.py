"""Calls that fail on Current too: what fails on every build is not the new one's doing. Pure."""

from collections.abc import Iterable, Mapping
from typing import Self

from pipeline.models import Value
from pipeline.rollout.pending import PendingCall

AGAIN = 2
"""Attempts of a call that failed on Current before its input counts as the reason: one may be bad luck."""


class Troubled(Value):
    """Calls that failed on Current again and again, by their keys. Other calls stay as they are judged."""

    before: Mapping[str, int] = {}
    """Their attempts that had failed before the candidate got them."""
    since: Mapping[str, int] = {}
    """Those that failed on the candidate; no timeouts, which are in no worker's counters."""

    @property
    def failures(self) -> int:
        """Failed attempts that are not held against the candidate."""
        return sum(self.since.values())

    def read(self, calls: Iterable[PendingCall], candidate: str, current: str | None) -> Self:
        """Take in what callers wait for."""
        before, since = dict(self.before), dict(self.since)
        for call in calls:
            if call.build_id == current and call.failures >= AGAIN:
                before[call.key] = call.failures
            elif call.build_id == candidate and call.key in before and not call.timed_out:
                since[call.key] = max(since.get(call.key, 0), call.failures - before[call.key])
        return self.model_copy(update={"before": before, "since": since})

    def anew(self, calls: Iterable[PendingCall], candidate: str, current: str | None) -> Self:
        """The same calls, counted from now on; the candidate may have had some of them already."""
        seen = tuple(calls)
        known = self.read(seen, candidate, current)
        now = {call.key: call.failures for call in seen if call.key in known.before}
        return self.model_copy(update={"before": {**known.before, **now}, "since": {}})
