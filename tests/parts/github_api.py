"""Two stand-ins for GitHub's REST API behind one door that watches them.

`emulate` keeps state: repos, pull requests, comments, checks. `steady` holds GitHub's own OpenAPI
description, checks requests against it and answers with its examples. `Door` stands before them: every call
is checked by steady, answered by either, recorded, and made to fail where a test asks for it.
"""

import contextlib
import fnmatch
import http.client
import json
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from tests.parts.cache import cache_folder
from tests.parts.ports import free_port
from tests.parts.waiting import eventually_sync

REF = re.compile(r"(/(?:git/refs?|compare)/)([^?]+)")
START_DEADLINE = 60.0
STOP_DEADLINE = 10.0
POLL = 0.02

OWNER = "octocat"
PERSON_TOKEN = "token-of-a-person"
APP_ID = 4711
INSTALLATION_ID = 100
PERMISSIONS = {"checks": "write", "contents": "read", "pull_requests": "write"}
"""Of the app's tokens, as a job's `permissions` would give them."""

# The emulator would listen on all interfaces, and has no option against it.
LOOPBACK_ONLY = """
const net = require("node:net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port) { return listen.call(this, port, "127.0.0.1"); };
"""


class PartsMissing(Exception):
    """The stand-ins are not installed."""


@dataclass
class Service:
    """A program that serves on a port of 127.0.0.1 while the context lasts."""

    command: tuple[str, ...]
    port: int
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self._process = process
        eventually_sync(lambda: self._answers() or process.poll() is not None, within=START_DEADLINE)
        if process.poll() is not None:
            raise RuntimeError(f"{self.command[0]} did not start:\n{self.log.read_text()[-3000:]}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_DEADLINE)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/rate_limit", timeout=5):
                return True
        except OSError:
            return False


def emulator(folder: Path, app_key: str) -> Service:
    """GitHub with state; a GitHub App is installed whose private key is given."""
    port = free_port()
    seed, loopback = folder / "seed.json", folder / "loopback.cjs"
    loopback.write_text(LOOPBACK_ONLY)
    seed.write_text(
        json.dumps(
            {
                "tokens": {PERSON_TOKEN: {"login": OWNER, "scopes": ["repo", "workflow"]}},
                "github": {
                    "users": [{"login": OWNER}],
                    "apps": [
                        {
                            "app_id": APP_ID,
                            "slug": "github-actions",
                            "name": "GitHub Actions",
                            "private_key": app_key,
                            "permissions": PERMISSIONS,
                            "installations": [{"installation_id": INSTALLATION_ID, "account": OWNER}],
                        }
                    ],
                },
            }
        )
    )
    program = _installed("node_modules/emulate/dist/index.js")
    command = ("node", "--require", str(loopback), str(program), "start", "--service", "github")
    options = ("--port", str(port), "--seed", str(seed), "--base-url", f"http://127.0.0.1:{port}")
    return Service((*command, *options), port, folder / "emulate.log")


def steady(folder: Path) -> Service:
    """GitHub's own OpenAPI description, which refuses calls that it does not allow."""
    port = free_port()
    program = next(iter(_installed("node_modules/@stdy").glob("cli-*/bin/steady")))
    options = ("--port", str(port), "--reject-on-sdk-error", "--log-level", "summary", "--no-color")
    return Service(
        (str(program), *options, str(_installed("api.github.com.json"))), port, folder / "steady.log"
    )


def _installed(path: str) -> Path:
    found = cache_folder() / "github-api" / path
    if not found.exists():
        raise PartsMissing("GitHub's stand-ins are not installed: run .ci/install-github-parts")
    return found


@dataclass(frozen=True)
class Call:
    """One request and what GitHub's description says of it."""

    method: str
    path: str
    body: Any
    status: int
    allowed_as: str
    """The path of GitHub's description that allows it, or ""."""
    objection: str


def is_named(name: str, method: str, path: str) -> bool:
    """Tell whether a request is meant by `METHOD end-of-path`, in which * is any text."""
    wanted, _, end = name.partition(" ")
    return method == wanted and fnmatch.fnmatchcase(path, f"*{end}")


@dataclass
class Trouble:
    """What a request meets instead of an answer."""

    on: str = ""
    """The requests that meet it, as `is_named` takes them; "" for any."""
    status: int = 0
    """0: the request is carried out, and the answer is lost on the way."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1

    def meets(self, method: str, path: str) -> bool:
        """Tell whether a request runs into it, which uses it up once."""
        hit = self.times > 0 and (not self.on or is_named(self.on, method, path))
        self.times -= hit
        return hit


@dataclass
class Door:
    """Forwards each request; `url` is what a client takes for GitHub's API."""

    checker: int
    """steady's port."""
    answerer: int
    """The port of the one whose answer is given."""
    calls: list[Call] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    examples: dict[str, Any] = field(default_factory=dict)
    """Answers in place of the answerer's, by requests as `is_named` takes them."""
    port: int = 0

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def made(self) -> list[str]:
        """The requests that were let through, as `METHOD /path/of/the/description`."""
        return [f"{call.method} {call.allowed_as}" for call in self.calls]

    def objections(self) -> list[str]:
        """Every request that GitHub's description does not allow, with the reason."""
        return [f"{c.method} {c.path}: {c.objection} {c.body}" for c in self.calls if c.objection]

    @contextlib.contextmanager
    def open(self) -> Iterator[Self]:
        """Serve on a free port of 127.0.0.1."""
        server = _Server(("127.0.0.1", 0), partial(_Doorman, self))
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(POLL,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client may leave at any time.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Doorman(BaseHTTPRequestHandler):
    def __init__(self, door: Door, *args: Any) -> None:
        self.door = door
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep standard error quiet."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        path = self.path.partition("?")[0]
        trouble = next((t for t in self.door.troubles if t.meets(self.command, path)), None)
        if trouble is not None and trouble.status:
            self._answer(trouble.status, trouble.headers, json.dumps(trouble.body).encode())
            return
        status, headers, answer = self._carry_out(content, path)
        if trouble is None:
            self._answer(status, headers, answer)
        self.close_connection = trouble is not None

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

    def _carry_out(self, content: bytes, path: str) -> tuple[int, Mapping[str, str], bytes]:
        allowed_as, objection, checked = self._check(content)
        result = (
            checked
            if self.door.answerer == self.door.checker
            else self._forward(self.door.answerer, content, self.path)
        )
        status, headers, answer = result
        example = next((a for on, a in self.door.examples.items() if is_named(on, self.command, path)), None)
        if example is not None:
            status, answer = 200, example if isinstance(example, bytes) else json.dumps(example).encode()
        body = json.loads(content) if content else None
        self.door.calls.append(Call(self.command, self.path, body, status, allowed_as, objection))
        return status, headers, answer

    def _check(self, content: bytes) -> tuple[str, str, tuple[int, Mapping[str, str], bytes]]:
        # OpenAPI has no path parameter with a slash, so its reader finds no ref written as GitHub takes it.
        path = REF.sub(lambda found: f"{found[1]}{quote(found[2], safe='')}", self.path)
        status, headers, answer = result = self._forward(self.door.checker, content, path)
        matched = headers.get("x-steady-matched-path", "")
        # It calls a request valid that is too long, and counts it as an error all the same.
        is_allowed = matched and headers.get("x-steady-error-count") == "0"
        said = [value for name, value in headers.items() if name.startswith("x-steady-error")]
        return matched, "" if is_allowed else f"{status} {said} {answer[:500].decode()}", result

    def _forward(self, port: int, content: bytes, path: str) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "accept-encoding")}
        try:
            connection.request(self.command, path, content or None, headers)
            response = connection.getresponse()
            answered = {name.lower(): value for name, value in response.getheaders()}
            return response.status, answered, self._through_the_door(response.read())
        finally:
            connection.close()

    def _through_the_door(self, answer: bytes) -> bytes:
        # The links in an answer are followed: they must lead here again, and never to the real GitHub.
        for address in ("https://api.github.com", f"http://127.0.0.1:{self.door.answerer}"):
            answer = answer.replace(address.encode(), self.door.url.encode())
        return answer

    def _answer(self, status: int, headers: Mapping[str, str], answer: bytes) -> None:
        self.send_response(status)
        kept = {k: v for k, v in headers.items() if k.lower() not in ("content-length", "transfer-encoding")}
        for name, value in {"content-type": "application/json", **kept}.items():
            self.send_header(name, value.replace(f":{self.door.answerer}", f":{self.door.port}"))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
