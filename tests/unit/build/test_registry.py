"""What registries differ in."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipeline.build.registry import see_that_it_takes_images
from pipeline.errors import PushFailed


class _WithoutCancel(BaseHTTPRequestHandler):
    """A registry that takes uploads, and knows no call to cancel one: the OCI's specification has none."""

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        known = self.headers["Authorization"] == "Basic YWRhOnNlY3JldA=="  # ada:secret
        self._answer(202 if known and "/mine/" in self.path else 403)

    def do_DELETE(self) -> None:
        self._answer(405)

    def _answer(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Location", "/v2/mine/x/blobs/uploads/1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _WithoutCancel) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_a_registry_that_cancels_no_upload_takes_images(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    helper = tmp_path / "docker-credential-keychain"
    helper.write_text(
        f"""#!/bin/sh\necho '{{"ServerURL": "{address}", "Username": "ada", "Secret": "secret"}}'\n"""
    )
    helper.chmod(0o755)
    for config in ({"credsStore": "keychain"}, {"auths": {address: {"auth": "YWRhOnNlY3JldA=="}}}):
        (tmp_path / "config.json").write_text(json.dumps(config))
        see_that_it_takes_images(f"{address}/mine/x", {"DOCKER_CONFIG": str(tmp_path)})
        with pytest.raises(PushFailed):
            see_that_it_takes_images(f"{address}/theirs/x", {"DOCKER_CONFIG": str(tmp_path)})
