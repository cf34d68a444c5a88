"""The worker's log, kept from filling the disk where it is a file: nobody else rotates that."""

import contextlib
import fcntl
import os
import stat
import threading
import time

ERRORS = 2
LARGEST = 64 * 2**20
"""Bytes beyond which a log is cut."""
KEPT = 8 * 2**20
"""Bytes of its end that are left."""
LOOK_EVERY = 5.0


def keep_small() -> None:
    """From now on, cut the beginning off the log whenever it is large; what is no file is left alone."""
    # Whoever writes on where they were, and not at the end, would leave a hole of the old size.
    ours = os.O_RDWR | os.O_APPEND
    is_file = stat.S_ISREG(os.fstat(ERRORS).st_mode)
    if is_file and fcntl.fcntl(ERRORS, fcntl.F_GETFL) & ours == ours:
        _cut()
        threading.Thread(target=_watch, name="log", daemon=True).start()


def _watch() -> None:
    while True:
        time.sleep(LOOK_EVERY)
        _cut()


def _cut() -> None:
    with contextlib.suppress(OSError):  # a full disk: the next look may find room
        cut(ERRORS)


def cut(file: int) -> None:
    """Keep only the end of a file that has grown large; who writes to it goes on after that.

    Args:
        file: descriptor that reads and appends.
    """
    size = os.fstat(file).st_size
    if size > LARGEST:
        end = os.pread(file, KEPT, size - KEPT)
        end += os.pread(file, KEPT, size)  # what was written meanwhile; of a moment's lines some may be lost
        os.ftruncate(file, 0)
        os.write(file, end.partition(b"\n")[2] or end)
