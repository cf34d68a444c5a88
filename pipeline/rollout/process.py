"""Whether the process that hosts a release still lives, where it is one of this machine."""

import os
import socket

import psutil

CLOCK_TOLERANCE = 1.0
"""Seconds by which a start time may seem to move when the system's clock is set."""


def this() -> str:
    """A mark of this very process."""
    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.2f}"


def lives(mark: str) -> bool | None:
    """Whether the marked process lives; None where this machine cannot tell."""
    host, _, rest = mark.partition(" ")
    pid, _, started = rest.partition(" ")
    if host != socket.gethostname() or not pid.isdigit():
        return None
    try:
        found = psutil.Process(int(pid))
        same = abs(found.create_time() - float(started)) < CLOCK_TOLERANCE
        return same and found.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        return False
