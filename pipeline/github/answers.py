"""What to make of GitHub's answers: wait and try again, or say what is wrong."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import ConduitError, GitHubRefused, GitHubUnreachable
from pipeline.models import Value

FORBIDDEN = 403
TOO_MANY = 429
SERVER_ERRORS = range(500, 600)
PERMISSION = re.compile(r"[a-z_]+=(?:read|write|admin)")


class Answer(Value):
    """An answer that is an error; header names in lower case."""

    status: int
    headers: Mapping[str, str] = {}
    message: str = ""
    errors: tuple[str, ...] = ()

    @property
    def is_rate_limit(self) -> bool:
        """Whether it would have been granted at another time."""
        if self.status not in (FORBIDDEN, TOO_MANY):
            return False
        spent = self.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in self.headers
        return self.status == TOO_MANY or spent or "rate limit" in self.message.lower()


class Patience(Value):
    """How long to try; seconds."""

    total: float = 120.0
    first_pause: float = 1.0
    longest_pause: float = 30.0
    rate_limit_pause: float = 60.0
    """What GitHub asks for where a rate limit says no time of its own."""


def answer(status: int, headers: Mapping[str, Any] | None, data: object) -> Answer:
    """Read an answer; its body may be of any shape."""
    body = data if isinstance(data, Mapping) else {}
    return Answer(
        status=status,
        headers={str(name).lower(): str(value) for name, value in (headers or {}).items()},
        message=str(body.get("message") or ""),
        errors=tuple(_error(error) for error in _list(body.get("errors"))),
    )


def pause(given: Answer, attempt: int, now: datetime, patience: Patience) -> float | None:
    """Seconds to wait before trying again, or None where trying again cannot help.

    Args:
        given: the answer.
        attempt: how often it was tried, from 1.
        now: the time, to which GitHub's reset time is compared.
        patience: our own pauses.
    """
    if given.is_rate_limit:
        # Where this machine's clock is ahead, the limit is over already and GitHub goes on saying no.
        return max(_rate_limit_pause(given, now, patience), server_pause(attempt, patience))
    return server_pause(attempt, patience) if given.status in SERVER_ERRORS else None


def server_pause(attempt: int, patience: Patience) -> float:
    """Seconds to wait where GitHub is in trouble or cannot be reached: twice as long each time."""
    return float(min(patience.longest_pause, patience.first_pause * 2 ** (attempt - 1)))


def refusal(doing: str, given: Answer) -> ConduitError:
    """Say in words why GitHub did not do it.

    Args:
        doing: what was tried, as in "GitHub did not take <doing>."
        given: the last answer.
    """
    if given.status in SERVER_ERRORS:
        return GitHubUnreachable(
            f"GitHub did not take {doing}.",
            why=f"it answers with an error of its own ({given.status})",
            now="See GitHub's status page, and run the job again later.",
        )
    return GitHubRefused(f"GitHub did not take {doing}.", why=_why(given), now=_now(given))


def unreachable(doing: str, why: str) -> GitHubUnreachable:
    """Say that no answer came at all."""
    return GitHubUnreachable(
        f"GitHub did not take {doing}.",
        why=f"no answer came: {why}",
        now="See whether this machine reaches GitHub (proxy, DNS), and run it again.",
    )


def _rate_limit_pause(given: Answer, now: datetime, patience: Patience) -> float:
    asked = _number(given.headers.get("retry-after"))
    if asked is not None:
        return asked
    reset = _number(given.headers.get("x-ratelimit-reset"))
    if given.headers.get("x-ratelimit-remaining") == "0" and reset is not None:
        return reset - now.timestamp()
    return patience.rate_limit_pause


def _why(given: Answer) -> str:
    said = "; ".join((given.message, *given.errors)).strip("; ")
    return f"{given.status}: {said}" if said else f"status {given.status}"


def _now(given: Answer) -> str:
    if given.is_rate_limit:
        return _wait_for_the_limit(given)
    return {
        401: "The token is not valid any more: make a new one.",
        FORBIDDEN: _grant(given),
        404: "Look at the repository's name, and whether the token may see it: GitHub says so for both.",
        422: "If a workflow file is the cause, the token needs the `workflow` scope.",
    }.get(given.status, "See the reason above.")


def _wait_for_the_limit(given: Answer) -> str:
    reset = _number(given.headers.get("x-ratelimit-reset"))
    when = f"after {datetime.fromtimestamp(reset, UTC):%H:%M:%S} UTC" if reset else "in a few minutes"
    return f"The rate limit of this token is used up: run the job again {when}."


def _grant(given: Answer) -> str:
    # GitHub names alternatives separated by semicolons; the first is enough.
    first = given.headers.get("x-accepted-github-permissions", "").partition(";")[0]
    wanted = [part.strip() for part in first.split(",") if PERMISSION.fullmatch(part.strip())]
    if not wanted:
        return "The token lacks a permission for it: grant it in the job's `permissions`, or to the token."
    lines = (f"  {permission.replace('_', '-').replace('=', ': ')}" for permission in wanted)
    return "\n".join(("Grant it to the job:", "", "permissions:", *lines))


def _number(text: str | None) -> float | None:
    # GitHub writes whole seconds; a proxy between may write a date, which is then as good as nothing.
    return float(text) if text is not None and re.fullmatch(r"[0-9]{1,10}", text) else None


def _list(errors: object) -> list[object]:
    return errors if isinstance(errors, list) else []


def _error(error: object) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    place = " ".join(str(error[key]) for key in ("resource", "field", "code") if key in error)
    return str(error.get("message") or place)
