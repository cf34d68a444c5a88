"""`conduit doctor` about an engine and a registry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline import errors
from tests.parts.conduit import Conduit
from tests.parts.ports import free_port
from tests.parts.registry import Registry
from tests.parts.temporal import DevServer


@pytest.fixture
def ask(temporal_server: DevServer, tmp_path: Path) -> Any:
    def ask(registry: str, variables: Mapping[str, str] = {}) -> Any:
        conduit = Conduit(home=tmp_path / "home", environment={**temporal_server.environment, **variables})
        told = conduit("doctor", "--json", "--runtime", "docker", "--registry", registry)
        return told.code, {found["name"]: found for found in told.json["findings"]}

    return ask


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In no repo at all."""
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)


def test_a_registry_that_takes_images_gets_none(ask: Any, registry: Registry, buildx: None) -> None:
    before = registry.bytes_stored()
    code, found = ask(f"{registry.address}/team")
    assert code == 0, found
    assert found["registry"]["detail"] == f"{registry.address}/team/conduit-doctor takes images"
    assert found["docker"]["detail"]
    assert "repo" not in found
    assert registry.bytes_stored() == before


def test_a_registry_that_does_not_let_us_in(ask: Any, registry: Registry, tmp_path: Path) -> None:
    code, found = ask(f"{registry.address}/team", {"DOCKER_CONFIG": str(tmp_path / "nobody")})
    assert code == errors.PushFailed.exit_code
    assert "401" in found["registry"]["fault"]["why"]
    assert "docker login" in found["registry"]["fault"]["now"]


def test_neither_engine_nor_registry_answers(ask: Any, engine: str) -> None:
    away = {"DOCKER_HOST": f"unix://{Path.cwd()}/none.sock"}
    code, found = ask(f"127.0.0.1:{free_port()}/team", away)
    assert code == errors.RuntimeUnavailable.exit_code
    assert found["docker"]["fault"]["error"] == "RuntimeUnavailable"
    assert found["registry"]["fault"]["error"] == "PushFailed"
