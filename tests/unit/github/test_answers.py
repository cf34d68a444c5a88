"""The policy for GitHub's refusals: what is tried again, when, and what is said."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import GitHubRefused, GitHubUnreachable
from pipeline.github.answers import Patience, answer, pause, refusal, unreachable

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PATIENCE = Patience(first_pause=1, longest_pause=30, rate_limit_pause=60)
RESET = str(int(NOW.timestamp()) + 90)


@pytest.mark.parametrize(
    ("status", "headers", "message", "seconds"),
    [
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": RESET}, "API rate limit exceeded", 90),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": RESET}, "", 90),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, "", 1),
        (429, {"retry-after": "0"}, "", 1),
        (403, {"Retry-After": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": RESET}, "", 7),
        (403, {}, "You have exceeded a secondary rate limit", 60),
        (403, {"x-ratelimit-remaining": "12", "x-ratelimit-reset": RESET}, "secondary rate limit", 60),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", 60),
        (429, {}, "", 60),
        (403, {}, "Resource not accessible by integration", None),
        (403, {"x-ratelimit-remaining": "12"}, "", None),
        (401, {}, "Bad credentials", None),
        (404, {}, "Not Found", None),
        (409, {}, "", None),
        (422, {}, "Validation Failed", None),
        (404, {"retry-after": "7"}, "", None),
    ],
)
def test_pause(status: int, headers: dict[str, str], message: str, seconds: float | None) -> None:
    assert pause(answer(status, headers, {"message": message}), 1, NOW, PATIENCE) == seconds


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_githubs_own_errors_are_tried_ever_more_slowly(status: int) -> None:
    pauses = [pause(answer(status, {}, None), attempt, NOW, PATIENCE) for attempt in range(1, 8)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_the_permission_that_is_lacking_is_shown_as_yaml() -> None:
    headers = {"x-accepted-github-permissions": "pull_requests=write,contents=read; issues=write"}
    said = refusal("the comment", answer(403, headers, {"message": "Resource not accessible by integration"}))
    assert isinstance(said, GitHubRefused)
    assert said.now == "Grant it to the job:\n\npermissions:\n  pull-requests: write\n  contents: read"


def test_a_header_that_is_no_permission_is_not_shown() -> None:
    said = refusal("x", answer(403, {"x-accepted-github-permissions": "x\n::add-mask::y=write"}, None))
    assert "add-mask" not in said.now


def test_the_errors_of_a_validation_are_named() -> None:
    errors = [
        {"resource": "Issue", "field": "title", "code": "missing_field"},
        {"message": "No commits"},
        "plain",
    ]
    said = refusal("the pull request", answer(422, {}, {"message": "Validation Failed", "errors": errors}))
    assert said.why == "422: Validation Failed; Issue title missing_field; No commits; plain"


def test_githubs_own_trouble_is_another_error_than_its_refusal() -> None:
    assert isinstance(refusal("x", answer(503, {}, None)), GitHubUnreachable)
    assert isinstance(unreachable("x", "name resolution failed"), GitHubUnreachable)
    assert "name resolution failed" in unreachable("x", "name resolution failed").why


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["message", "errors", "field", "x"]), inner)
    ),
    max_leaves=8,
)


RESETS = st.text() | st.from_regex(r"[0-9]{1,13}", fullmatch=True)


@example(status=429, data=None, reset="999999999999", remaining="0")
@given(status=st.integers(400, 599), data=JSON, reset=RESETS, remaining=st.sampled_from(["0", "1", ""]))
def test_any_answer_is_read_and_explained(status: int, data: object, reset: str, remaining: str) -> None:
    headers = {"x-ratelimit-reset": reset, "x-ratelimit-remaining": remaining}
    read = answer(status, headers, data)
    waits = pause(read, 1, NOW, PATIENCE)
    assert waits is None or waits >= 0
    said = refusal("the comment", read)
    assert "the comment" in said.what
    assert said.why
    assert said.now
