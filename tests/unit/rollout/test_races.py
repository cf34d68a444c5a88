"""Pushes that race, in interleavings that hypothesis chooses: the newest commit is Current in the end.

The model has the points at which `host.start` and the workflow wait for the server; the decisions are the real ones.
"""

from collections.abc import Generator
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from pipeline import errors
from pipeline.errors import ConduitError
from pipeline.rollout.policy import InFlight, begin, refuse_older
from tests.unit.rollout.test_policy import LINE, commit, is_ancestor

FIRST = LINE[0]
Steps = Generator[None, None, None]


@dataclass
class Server:
    """What Temporal keeps: one running release at most, and the routing."""

    current: str = FIRST
    ramping: str | None = None
    running: tuple[int, str] | None = None
    runs: int = 0
    dead: set[int] = field(default_factory=set)

    def in_flight(self) -> InFlight | None:
        if self.running is None:
            return None
        run, sha = self.running
        return InFlight(
            build_id=sha, sha=sha, task_queue="q", host_is_alive=run not in self.dead, run_id=str(run)
        )

    def end(self, run: int) -> None:
        if self.running and self.running[0] == run:
            self.running = None

    def start(self, sha: str) -> int | None:
        if self.running is not None:
            return None
        self.runs += 1
        self.running = (self.runs, sha)
        return self.runs

    def is_running(self, run: int) -> bool:
        return self.running is not None and self.running[0] == run


def push(server: Server, sha: str) -> Steps:
    """A delivery, step by step; it ends by itself."""
    while True:
        over = server.current
        refuse_older(commit(sha), over, is_ancestor, force=False)
        yield
        superseded = None
        while True:
            other = server.in_flight()
            begin("a", commit(sha), other, is_ancestor)
            yield
            if other:
                server.end(int(other.run_id))
                superseded = other.sha
                yield
            run = server.start(sha)
            if run is not None:
                break
            yield
        yield
        if (yield from released(server, sha, run, (over, superseded))):
            return


def released(server: Server, sha: str, run: int, over: tuple[str | None, ...]) -> Generator[None, None, bool]:
    """The workflow and its steps; false where another build became Current and all is to be compared anew."""
    before = server.current
    if before not in (*over, sha):
        server.end(run)
        return False
    yield
    if not server.is_running(run):
        raise errors.Superseded("it was")
    server.ramping = sha
    yield
    if not server.is_running(run):
        raise errors.Superseded("it was")
    if server.current not in (before, *over, sha):
        server.ramping = None
        server.end(run)
        return False
    server.current, server.ramping = sha, None
    yield
    server.end(run)
    return True


class Pushes:
    """Deliveries that take turns; one may be killed where it is."""

    def __init__(self, server: Server, shas: list[str]) -> None:
        self.server = server
        self.left = {number: push(server, sha) for number, sha in enumerate(shas)}
        self.run_of: dict[int, int] = {}

    def turn(self, number: int) -> None:
        """Let one make a step."""
        if number not in self.left:
            return
        before = self.server.runs
        try:
            next(self.left[number])
        except (StopIteration, ConduitError):
            self.left.pop(number)
        if self.server.runs > before:
            self.run_of[number] = self.server.runs

    def kill(self, number: int) -> None:
        """End one where it is; its release stays behind without a host."""
        if self.left.pop(number, None) and number in self.run_of:
            self.server.dead.add(self.run_of[number])


@given(
    shas=st.permutations([LINE[1], LINE[2], LINE[2], LINE[1]]),
    turns=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=60),
)
def test_after_kills_the_newest_delivered_again_is_current(
    shas: list[str], turns: list[tuple[int, int]]
) -> None:
    server = Server()
    pushes = Pushes(server, shas)
    for number, fate in turns:
        if fate == 0:
            pushes.kill(number)
        else:
            pushes.turn(number)
    for number in list(pushes.left):
        pushes.kill(number)
    for _ in push_again(server, LINE[2]):
        pass
    assert (server.current, server.ramping, server.running) == (LINE[2], None, None)


def push_again(server: Server, sha: str) -> Steps:
    """The newest is delivered again, as a person or the next run would; its first step clears what is ramping."""
    if server.current != sha or server.running:
        yield from push(server, sha)
    assert server.ramping in (None, sha)


@given(turns=st.lists(st.integers(0, 2), max_size=60), shas=st.permutations([LINE[1], LINE[2], LINE[1]]))
def test_without_kills_the_newest_is_current_with_nobody_pushing_again(
    turns: list[int], shas: list[str]
) -> None:
    server = Server()
    pushes = Pushes(server, shas)
    for number in [*turns, *(number for _ in range(60) for number in range(3))]:
        pushes.turn(number)
    assert pushes.left == {}
    assert (server.current, server.running) == (LINE[2], None)
