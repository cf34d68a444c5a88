"""Whether the process that hosts a release lives."""

import os
import socket
import subprocess

import psutil

from pipeline.rollout import process


def test_this_process_lives() -> None:
    assert process.lives(process.this()) is True


def test_a_process_that_ended_does_not() -> None:
    child = subprocess.Popen(["sleep", "60"])
    mark = f"{socket.gethostname()} {child.pid} {psutil.Process(child.pid).create_time():.2f}"
    assert process.lives(mark) is True
    child.kill()
    child.wait()
    assert process.lives(mark) is False


def test_another_process_with_its_pid_is_not_it() -> None:
    assert process.lives(f"{socket.gethostname()} {os.getpid()} 1.0") is False


def test_another_machine_or_nonsense_cannot_be_told() -> None:
    assert process.lives("elsewhere 1 1.0") is None
    assert process.lives("") is None
    assert process.lives(f"{socket.gethostname()} x y") is None
