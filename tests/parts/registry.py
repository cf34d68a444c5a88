"""A real container registry with a password, that can be stopped and started again on the same port."""

import base64
import contextlib
import shutil
import subprocess
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Self

import docker
from docker.errors import DockerException, NotFound

from tests.parts.ports import free_port
from tests.parts.waiting import eventually_sync

START_DEADLINE = 20.0
STOP_DEADLINE = 10.0

USER = "conduit"
PASSWORD = "open sesame"
# Of the password above; the registry takes the $2b$ form of bcrypt.
PASSWORD_HASH = "$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW"


def registry_binary() -> Path | None:
    """The `docker-registry` program of PATH, or None."""
    found = shutil.which("docker-registry")
    return Path(found) if found else None


@dataclass
class Registry:
    """A registry with its blobs in `folder`; its address stays the same over `stop` and `start`."""

    binary: Path
    folder: Path
    port: int = field(default_factory=free_port)
    user: str = USER
    password: str = PASSWORD
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """`127.0.0.1:port`, with which the names of its images begin."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start the registry and wait until it answers.

        Raises:
            RuntimeError: it ended; the text holds the end of its log.
        """
        (self.folder / "htpasswd").write_text(f"{self.user}:{PASSWORD_HASH}\n")
        (self.folder / "config.yml").write_text(self._config())
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [self.binary, "serve", self.folder / "config.yml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._process = process
        eventually_sync(lambda: self._answers() or process.poll() is not None, within=START_DEADLINE)
        if process.poll() is not None:
            raise RuntimeError(f"the registry did not start:\n{(self.folder / 'log').read_text()[-3000:]}")
        return self

    def stop(self) -> None:
        """Stop the registry; what was pushed stays."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(STOP_DEADLINE)

    def bytes_stored(self) -> int:
        """The size of everything that was pushed, in bytes."""
        return sum(blob.stat().st_size for blob in self.folder.glob("blobs/docker/**/data"))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._forget()

    def _forget(self) -> None:
        """Let the engine forget the images that are named after this registry: nobody can pull them any more."""
        with contextlib.suppress(DockerException), closing(docker.from_env()) as engine:
            named = [(*image.tags, *image.attrs["RepoDigests"]) for image in engine.images.list()]
            for name in chain.from_iterable(named):
                if name.startswith(f"{self.address}/"):
                    with contextlib.suppress(NotFound):  # the last name took the image with it
                        engine.images.remove(name, force=True)

    def _config(self) -> str:
        return f"""\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {self.folder}/blobs}}, delete: {{enabled: true}}}}
http: {{addr: "{self.address}"}}
auth: {{htpasswd: {{realm: tests, path: {self.folder}/htpasswd}}}}
"""

    def _answers(self) -> bool:
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        ask = urllib.request.Request(
            f"http://{self.address}/v2/", headers={"Authorization": f"Basic {token}"}
        )
        try:
            with urllib.request.urlopen(ask, timeout=2):  # noqa: S310 - our own http address
                return True
        except urllib.error.HTTPError as refused:
            raise RuntimeError(f"the registry refuses its own password: {refused}") from refused
        except OSError:
            return False
