"""In production a placeholder has to be asked for by name."""

from datetime import UTC, datetime

import pytest

from pipeline.deployments import Deployment, Status, Version
from pipeline.errors import PlaceholderRefused
from pipeline.placeholders.permission import refuse_unasked

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def deployment(*was_current: str) -> Deployment:
    versions = tuple(
        Version(
            build_id=build_id,
            status=Status.DRAINED,
            created=NOW,
            first_active=NOW,
            current_since=None,
            last_current=NOW,
            deactivated=NOW,
        )
        for build_id in was_current
    )
    return Deployment(
        name="speaker-id",
        conflict_token=b"",
        current=None,
        current_since=None,
        ramping=None,
        ramp_percentage=0,
        ramping_since=None,
        propagated=True,
        manager="",
        last_modifier="",
        versions=versions,
    )


@pytest.mark.parametrize("seen", [None, deployment(), deployment("placeholder-a")])
def test_on_a_local_server_without_the_real_algorithm_it_need_not_be_named(seen: Deployment | None) -> None:
    refuse_unasked(seen, "default", local=True, asked_for=None)


@pytest.mark.parametrize(
    ("seen", "local", "why"),
    [(None, False, "not on this machine"), (deployment("placeholder-a", "abc-1"), True, "abc-1")],
)
def test_in_production_it_has_to_be_named(seen: Deployment | None, local: bool, why: str) -> None:
    with pytest.raises(PlaceholderRefused) as refused:
        refuse_unasked(seen, "prod", local=local, asked_for=None)
    assert why in refused.value.why
    assert "--in-production prod" in refused.value.now
    refuse_unasked(seen, "prod", local=local, asked_for="prod")


@pytest.mark.parametrize("local", [True, False])
def test_the_wrong_name_is_refused_everywhere(local: bool) -> None:
    with pytest.raises(PlaceholderRefused, match="staging"):
        refuse_unasked(None, "prod", local=local, asked_for="staging")
