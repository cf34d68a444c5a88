"""Calls whose input is to blame: what fails on every build, or again and again, is not the new one's doing. Pure."""

from collections.abc import Iterable, Mapping
from typing import Self

from pipeline.models import Value
from pipeline.rollout.pending import PendingCall

AGAIN = 2
"""Attempts of a call that failed on Current before its input counts as the reason: one may be bad luck."""
TELLING = 2
"""Attempts of a call that tell something of a build which answers others: a further one fails as they did."""
OTHERS = 5
"""Other calls of the activity that a build has answered then."""
MOST_KEPT = 1000
"""So many calls are known at most: they travel in heartbeats, of which the server takes two megabytes."""


class Troubled(Value):
    """Calls that fail again and again, by their keys. Other calls stay as they are judged."""

    before: Mapping[str, int] = {}
    """Those that failed so on Current, and how many attempts had before the candidate got them."""
    since: Mapping[str, int] = {}
    """Their attempts that failed on the candidate; no timeouts, which are in no worker's counters."""
    begun: Mapping[str, int] = {}
    """How many attempts of other calls had failed, on whichever build, when counting began."""
    repeated: Mapping[str, Mapping[str, int]] = {}
    """Attempts of these that failed on the candidate beyond the telling ones, by activity."""

    @property
    def failures(self) -> int:
        """Failed attempts, of calls that failed on Current, that are not held against the candidate."""
        return sum(self.since.values())

    def repeats(self, answers: Iterable[str]) -> int:
        """Failed attempts that are not held against a candidate which answers other calls of these activities."""
        return sum(sum(self.repeated.get(activity, {}).values()) for activity in answers)

    def read(self, calls: Iterable[PendingCall], candidate: str, current: str | None) -> Self:
        """Take in what callers wait for."""
        before, since = dict(self.before), dict(self.since)
        repeated = {activity: dict(its) for activity, its in self.repeated.items()}
        for call in calls:
            if call.build_id == current and call.failures >= AGAIN:
                _note(before, call.key, call.failures)
            elif call.build_id != candidate or call.timed_out:
                continue
            elif call.key in before:
                since[call.key] = max(since.get(call.key, 0), call.failures - before[call.key])
            elif (more := call.failures - self.begun.get(call.key, 0) - TELLING) > 0:
                _note(repeated.setdefault(call.activity, {}), call.key, more)
        return self.model_copy(update={"before": before, "since": since, "repeated": repeated})

    def anew(self, calls: Iterable[PendingCall], candidate: str, current: str | None) -> Self:
        """The same calls, counted from now on; the candidate may have had some of them already."""
        seen = tuple(calls)
        known = self.read(seen, candidate, current)
        failed: dict[str, int] = {}
        for call in seen:
            if call.failures:
                _note(failed, call.key, call.failures)
        again = {key: failures for key, failures in failed.items() if key in known.before}
        return self.model_copy(
            update={"before": {**known.before, **again}, "since": {}, "begun": failed, "repeated": {}}
        )


def _note(known: dict[str, int], key: str, failures: int) -> None:
    if key in known or len(known) < MOST_KEPT:
        known[key] = failures
