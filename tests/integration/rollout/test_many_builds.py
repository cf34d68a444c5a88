"""A server that takes a few versions only, and soon lets old ones go: what a hundred builds come to in an hour."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.models import Build
from tests.integration.rollout.conftest import GOOD, Stage
from tests.parts.conduit import QUICK_RELEASE, Conduit, research_repo
from tests.parts.repos import FILES
from tests.parts.temporal import DevServer, temporal_binary

LIMIT = 4
RECORDS = 3
BUILDS = 6
SETTINGS = f"""\
test = []
grace = "1s"
gates.replay.calls = 0
start-timeout = "10s"
release.keep = 1
release.records = {RECORDS}
"""


@pytest.fixture
def stage_with(release_home: Path, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """A research repo, and a server that takes so many versions and keeps idle ones so long."""
    binary = temporal_binary()
    if binary is None:
        pytest.skip("no `temporal` binary")
    with ExitStack() as left:

        def make(algorithm: str, *, versions: int, lets_go_after: str) -> Stage:
            settings = {
                "matching.maxVersionsInDeployment": str(versions),
                "matching.PollerHistoryTTL": lets_go_after,
                "matching.wv.VersionDrainageStatusVisibilityGracePeriod": lets_go_after,
                "matching.wv.VersionDrainageStatusRefreshInterval": lets_go_after,
            }
            server = left.enter_context(DevServer(binary, tmp_path, dynamic_config=settings))
            conduit = Conduit(home=release_home, environment=server.environment)
            left.callback(conduit.clean_up)
            repo = research_repo(tmp_path / "repo", algorithm, {**FILES, **GOOD}, SETTINGS + QUICK_RELEASE)
            return Stage(conduit, repo, server)

        yield make


async def test_more_builds_than_the_server_takes_go_live(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with("prolific", versions=LIMIT, lets_go_after='"1s"')
    client = await stage.client()
    built, deleted = list[Build](), set[str]()
    for number in range(BUILDS):
        built.append(await stage.build({"README.md": f"{number}"}))
        routed = await stage.release(client, built[-1])
        assert routed.retired is not None
        deleted |= set(routed.retired.deleted)
        seen = await stage.seen(client)
        kept = {version.build_id for version in seen.versions}
        assert seen.current == built[-1].build_id
        assert len(kept) <= LIMIT
        assert {build.build_id for build in built[-2:]} <= kept
        assert stage.conduit.alive(stage.algorithm) == {build.build_id: 1 for build in built[-2:]}
    assert deleted
    assert deleted <= {build.build_id for build in built[:-2]}
    told = stage.conduit.good(
        "rollback", stage.algorithm, "--reason", "the one before is kept warm", "--json"
    )
    assert told.json["build_id"] == built[-2].build_id


async def test_a_server_without_room_refuses_before_any_call(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with("crowded", versions=2, lets_go_after='"5m"')
    client = await stage.client()
    for number in range(2):
        await stage.release(client, await stage.build({"README.md": f"{number}"}))
    before = await stage.seen(client)
    with pytest.raises(errors.VersionLimit) as refused:
        await stage.release(client, await stage.build({"README.md": "one too many"}))
    assert "beside 2 versions of crowded" in refused.value.what
    after = await stage.seen(client)
    assert (after.current, after.ramping, after.versions) == (before.current, None, before.versions)
    assert set(stage.conduit.alive("crowded")) == {version.build_id for version in before.versions}
