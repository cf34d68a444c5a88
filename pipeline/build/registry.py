"""Giving a pushed image its commit's time, so that one commit has one digest whenever it is built.

BuildKit does this by itself since 0.11, told by SOURCE_DATE_EPOCH. Older engines write the moment of the
build into the image's configuration, the one place where two builds of a commit then differ. It is put right
in the registry: a configuration and a manifest of a few kB, while the layers stay where they are.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from docker import auth
from docker.errors import DockerException
from requests.auth import AuthBase, HTTPBasicAuth

from pipeline.errors import PushFailed
from pipeline.models import Commit

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
TIMEOUT = 30
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
# Docker speaks plain HTTP to these without being told.
LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")


def set_created(
    repository: str,
    digest: str,
    commit: Commit,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> str:
    """Return the digest of the image with its commit's time; `digest` itself where it cannot be had.

    Args:
        say: is told why it could not.
    """
    try:
        with closing(_Repository(repository, environment)) as images:
            return _set_created(images, digest, commit)
    except (requests.RequestException, DockerException, KeyError, ValueError) as error:
        say(f"The image keeps the time of this build; its commit built again has another digest: {error}")
        return digest


def see_that_it_takes_images(repository: str, environment: Mapping[str, str]) -> None:
    """Begin to push a layer, and leave it at that.

    Raises:
        PushFailed: the registry does not answer, or does not let this docker client push.
    """
    try:
        with closing(_Repository(repository, environment)) as images:
            images.cancel_upload(images.begin_upload())
    except (requests.RequestException, DockerException, KeyError, ValueError) as error:
        raise PushFailed(
            f"{repository} takes no image from here.",
            why=str(error)[:1000],
            now="See that the registry runs and that its name is right, and log in with `docker login`.",
        ) from error


def _set_created(images: "_Repository", digest: str, commit: Commit) -> str:
    manifest = images.manifest(digest)
    config = images.blob(manifest["config"]["digest"])
    wanted = at_time(config, commit.time)
    if wanted == config:
        return digest
    content = json.dumps(wanted, separators=(",", ":"), sort_keys=True).encode()
    config_digest = images.upload(content)
    described = {**manifest["config"], "digest": config_digest, "size": len(content)}
    return images.put_manifest({**manifest, "config": described}, tag=commit.sha)


def at_time(config: Mapping[str, Any], time: datetime) -> dict[str, Any]:
    """An image's configuration as if all of it had been made at a time; as it is, if it says so already.

    The steps of the base image are not spared: a configuration does not tell them from the Dockerfile's own,
    of which those from the cache may be older than the commit.
    """
    stamp = time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if config["created"] == stamp:
        return dict(config)
    history = [{**step, "created": stamp} for step in config.get("history", ())]
    return {**config, "created": stamp, "history": history}


class _Repository:
    """One repository of a registry, through the registry's HTTP API."""

    def __init__(self, repository: str, environment: Mapping[str, str]) -> None:
        registry, name = auth.resolve_repository_name(repository)
        host = f"registry-1.{registry}" if registry == auth.INDEX_NAME else registry
        scheme = "http" if LOOPBACK.fullmatch(host) else "https"
        self._base = f"{scheme}://{host}/v2/{name}/"
        self._session = requests.Session()
        self._session.auth = _authentication(self._base, registry, name, environment)

    def close(self) -> None:
        self._session.close()

    def manifest(self, digest: str) -> dict[str, Any]:
        """Read an image's manifest.

        Raises:
            ValueError: it is a list of images of many platforms.
        """
        answer = self._call("GET", f"manifests/{digest}", headers={"Accept": ", ".join(MANIFESTS)})
        manifest: dict[str, Any] = answer.json()
        if manifest.get("mediaType", answer.headers.get("Content-Type")) not in MANIFESTS:
            raise ValueError("it is more than one image")
        return manifest

    def blob(self, digest: str) -> dict[str, Any]:
        blob: dict[str, Any] = self._call("GET", f"blobs/{digest}").json()
        return blob

    def begin_upload(self) -> str:
        """The registry's own address for it, with parameters that it wants to see again."""
        begun = self._call("POST", "blobs/uploads/")
        return urljoin(begun.url, begun.headers["Location"])

    def cancel_upload(self, place: str) -> None:
        """Spare the registry the waiting; not all of them know this call."""
        with contextlib.suppress(requests.RequestException):
            self._call("DELETE", place)

    def upload(self, content: bytes) -> str:
        digest = _digest(content)
        self._call("PUT", self.begin_upload(), params={"digest": digest}, data=content)
        return digest

    def put_manifest(self, manifest: Mapping[str, Any], *, tag: str) -> str:
        content = json.dumps(manifest, separators=(",", ":"), sort_keys=True).encode()
        self._call("PUT", f"manifests/{tag}", data=content, headers={"Content-Type": manifest["mediaType"]})
        return _digest(content)

    def _call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        answer = self._session.request(method, urljoin(self._base, path), timeout=TIMEOUT, **arguments)
        answer.raise_for_status()
        return answer


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _authentication(base: str, registry: str, name: str, environment: Mapping[str, str]) -> AuthBase | None:
    """Do as docker does: ask without a password, then follow the registry's challenge with one."""
    known = _credentials(registry, environment)
    asked = requests.get(urljoin(base, "/v2/"), timeout=TIMEOUT)
    kind, _, rest = asked.headers.get("WWW-Authenticate", "").partition(" ")
    if kind.lower() != "bearer":
        return known
    challenge = dict(CHALLENGE.findall(rest))
    granted = requests.get(
        challenge["realm"],
        params={"service": challenge.get("service", ""), "scope": f"repository:{name}:pull,push"},
        auth=known,
        timeout=TIMEOUT,
    )
    granted.raise_for_status()
    answer = granted.json()
    return _Bearer(answer.get("token") or answer["access_token"])


def _credentials(registry: str, environment: Mapping[str, str]) -> HTTPBasicAuth | None:
    folder = environment.get("DOCKER_CONFIG")
    path = str(Path(folder) / "config.json") if folder else None
    known = auth.load_config(path).resolve_authconfig(registry)
    # The SDK writes them small where they are in the file, and large where a credential helper gave them.
    given = {key.lower(): value for key, value in (known or {}).items()}
    return HTTPBasicAuth(given["username"], given["password"]) if given.get("username") else None
