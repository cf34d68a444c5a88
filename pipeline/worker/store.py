"""The file store for checkpoints that are too large for a heartbeat: any file system that fsspec knows."""

import hashlib
import importlib
import itertools
import json
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from pipeline.worker.failures import HostFailure, message

T = TypeVar("T")

FIRST_PAUSE = 0.1
PATIENCE = 5.0
"""Seconds for which the store is tried; Temporal's own retries come after."""
USER = re.compile(r"(?<=://)[^/@\s]*@")
"""The user and the password that an address may hold."""


class FileStore:
    """Files below one address, a folder for each call and in it a file for each of its attempts.

    An attempt replaces its own file alone: one that was given up, and does not know it, spoils nothing. Files are
    left behind, since a call's end may be lost on its way to the server: let the store delete them by their age.
    """

    def __init__(self, address: str) -> None:
        """Open the store.

        Raises:
            HostFailure: HostMisconfigured: fsspec or the address's own package is not installed, or it is no address.
        """
        try:
            # The research repo's dependency, not the host's: imported where it is asked for.
            self._files, self._root = importlib.import_module("fsspec").url_to_fs(address)
        except (ImportError, ValueError) as error:
            now = "add `fsspec`, and its package for such an address, to the repo"
            raise HostFailure(
                "HostMisconfigured",
                f"the checkpoint store {_without_user(address)!r} cannot be opened",
                why=f"{_without_user(message(error))}; {now}",
            ) from error
        self._address = address

    def write(self, call: activity.Info, content: bytes) -> str:
        """Replace the attempt's file in one step; see `Store.write`.

        Raises:
            ApplicationError: StoreAway.
        """
        file = file_of(call)
        self._patiently(lambda: self._replace(f"{self._root}/{file}", content), _patience(call))
        return file

    def _replace(self, path: str, content: bytes) -> None:
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(f"{path}.new", content)
        self._files.mv(f"{path}.new", path)

    def read(self, call: activity.Info | None, file: str) -> bytes:
        """Read a file; see `Store.read`.

        Raises:
            FileNotFoundError: it is not there, though the store is.
            ApplicationError: StoreAway.
        """
        content = self._patiently(lambda: self._content(f"{self._root}/{file}"), _patience(call))
        if content is None:
            raise FileNotFoundError(file)
        return content

    def _content(self, path: str) -> bytes | None:
        try:
            content: bytes = self._files.cat_file(path)
        except FileNotFoundError:
            return None
        return content

    def _patiently(self, act: Callable[[], T], patience: float) -> T:
        deadline = time.monotonic() + patience
        for attempt in itertools.count():
            try:
                return act()
            except Exception as error:  # each file system has its own
                pause = FIRST_PAUSE * 2**attempt
                if time.monotonic() + pause > deadline:
                    raise self._away(error) from None
                time.sleep(pause)
        raise AssertionError  # it never stops counting

    def _away(self, error: Exception) -> ApplicationError:
        return ApplicationError(
            f"the checkpoint store {_without_user(self._address)} does not answer: "
            f"{_without_user(message(error))}; the call is tried again, and goes on from what was saved last",
            type="StoreAway",
        )


def _without_user(text: str) -> str:
    return USER.sub("", text)


def file_of(call: activity.Info) -> str:
    """`<call>/<attempt>.json`; a workflow's ID is anybody's text, and so it is hashed."""
    names: list[Any] = [call.namespace, call.workflow_id, call.workflow_run_id, call.activity_id]
    return f"{hashlib.sha256(json.dumps(names).encode()).hexdigest()}/{call.attempt}.json"


def _patience(call: activity.Info | None) -> float:
    # While the store is tried the call does not heartbeat: it must say why it failed before it is given up.
    timeout = call.heartbeat_timeout if call else None
    return min(PATIENCE, timeout.total_seconds() / 4) if timeout else PATIENCE
