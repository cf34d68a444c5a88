"""Every way in which the conduit can fail, each with its exit code.

An error says what happened, why, and what to do now. `docs/exit-codes.md` is made from this file. Codes are
for scripts and never change their meaning: 0 is success, 1 a fault of our own, 2 a wrong command line, 130
Ctrl-C and what does the same.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar


class ConduitError(Exception):
    """A failure that we foresaw.

    Attributes:
        what: what happened, one sentence.
        why: the cause as far as it is known, or the output of the tool that failed.
        now: what the reader can do about it.
        log: the end of a log that shows it, if there is one.
    """

    exit_code: ClassVar[int]

    def __init__(self, what: str, *, why: str = "", now: str = "", log: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.now = now
        self.log = log

    def fields(self) -> dict[str, str]:
        """The error as strings, to cross from an activity to the command that waits for it."""
        return {"what": self.what, "why": self.why, "now": self.now, "log": self.log}


# 1x: the commit


class NotARepository(ConduitError):
    """The folder is not in a git repository, or git is not installed."""

    exit_code = 10


class NoSuchCommit(ConduitError):
    """The revision names no commit of this repository."""

    exit_code = 11


class DirtyTree(ConduitError):
    """The working tree has changes that are in no commit."""

    exit_code = 12


class UnsafeTree(ConduitError):
    """The commit holds something that cannot be exported safely, such as a link out of the repository."""

    exit_code = 13


# 2x: its configuration


class NotConfigured(ConduitError):
    """There is no `pyproject.toml` with a `[tool.conduit]` table, or it is not TOML."""

    exit_code = 20


class UnknownKey(ConduitError):
    """`[tool.conduit]` has a key that means nothing."""

    exit_code = 21


class InvalidValue(ConduitError):
    """A key of `[tool.conduit]` has a value that it cannot have."""

    exit_code = 22


class InvalidAlgorithmName(ConduitError):
    """The algorithm's name is one that Temporal, a file system or a registry would not take."""

    exit_code = 23


class NoDependencies(ConduitError):
    """The repo says nowhere what it depends on."""

    exit_code = 24


# 3x: verify and build


class TestsFailed(ConduitError):
    """The repo's own tests failed."""

    __test__ = False  # the name is not a test class
    exit_code = 30


class EnvironmentFailed(ConduitError):
    """The repo's dependencies, or the repo itself, could not be installed."""

    exit_code = 31


class ImportFailed(ConduitError):
    """An activity module does not import."""

    exit_code = 32


class NoActivity(ConduitError):
    """No function under `@activity.defn` was found."""

    exit_code = 33


class DuplicateActivity(ConduitError):
    """Two activities have one name."""

    exit_code = 34


class UntypedActivity(ConduitError):
    """An activity's input or output has no type, or one that no JSON Schema can be made of."""

    exit_code = 35


class ToolMissing(ConduitError):
    """A program that the conduit calls is not installed."""

    exit_code = 36


class BuildFailed(ConduitError):
    """The image could not be built."""

    exit_code = 37


class PushFailed(ConduitError):
    """The image could not be pushed to the registry."""

    exit_code = 38


class RecordRefused(ConduitError):
    """The build record is not one, or not that of the algorithm and commit that are to be released."""

    exit_code = 39


# 4x: Temporal


class TemporalUnreachable(ConduitError):
    """No Temporal server answered."""

    exit_code = 40


class TemporalRefused(ConduitError):
    """Temporal answered and would not do it."""

    exit_code = 41


class UnknownAlgorithm(ConduitError):
    """Temporal has no Worker Deployment of that name."""

    exit_code = 42


class UnknownBuild(ConduitError):
    """The algorithm has no such build."""

    exit_code = 43


class PropagationStuck(ConduitError):
    """The routing was changed but did not reach all task queues in time."""

    exit_code = 44


class RoutingChanged(ConduitError):
    """Somebody else changed the routing at the same moment."""

    exit_code = 45


class VersionLimit(ConduitError):
    """The deployment has as many versions as the server allows."""

    exit_code = 46


# 5x: workers


class SetupFailed(ConduitError):
    """The `setup` hook raised."""

    exit_code = 50


class SetupHung(ConduitError):
    """The `setup` hook did not end in time."""

    exit_code = 51


class WorkerDied(ConduitError):
    """A worker ended by itself."""

    exit_code = 52


class NotRegistered(ConduitError):
    """The workers run, but Temporal does not list their version."""

    exit_code = 53


class NoLiveWorker(ConduitError):
    """No live worker of the build can be had, so no call may be routed to it."""

    exit_code = 54


class RuntimeUnavailable(ConduitError):
    """The runtime that should hold the workers does not answer, or goes away with the job."""

    exit_code = 55


class HostMisconfigured(ConduitError):
    """The worker host was given settings or variables that it cannot use."""

    exit_code = 56


# 6x: releases


class ReleaseInFlight(ConduitError):
    """Another release of the same algorithm is running."""

    exit_code = 60


class NothingToRollBackTo(ConduitError):
    """No earlier build can be rolled back to."""

    exit_code = 61


class Quarantined(ConduitError):
    """The build failed a gate or was rolled back."""

    exit_code = 62


class OlderCommit(ConduitError):
    """A newer commit than this one is live."""

    exit_code = 63


class Superseded(ConduitError):
    """A newer release or a roll-back took this one's place."""

    exit_code = 64


class BuildTurnedBad(ConduitError):
    """The build did worse than it may in its ramp or watch; calls go to the build before it again."""

    exit_code = 65


class NotJudged(ConduitError):
    """Too few calls reached the build to judge it, and nobody decided; it was taken back."""

    exit_code = 66


class Aborted(ConduitError):
    """A person stopped the release; calls go to the build before it again."""

    exit_code = 67


class NoController(ConduitError):
    """No standing controller serves this machine, so a detached release would not go on."""

    exit_code = 68


class NoRelease(ConduitError):
    """No release of the algorithm is running that could be told something."""

    exit_code = 69


# 7x: the local server and the demo


class DemoFailed(ConduitError):
    """The demo did not show what it promises."""

    exit_code = 70


class ServerFailed(ConduitError):
    """The local Temporal server did not start."""

    exit_code = 71


class DestinationExists(ConduitError):
    """The folder that should be made is there already."""

    exit_code = 72


class DestinationNotWritable(ConduitError):
    """A folder or file that should be made cannot be written."""

    exit_code = 73


# 8x: GitHub


class GitHubContextInvalid(ConduitError):
    """GitHub Actions' environment or event is not what GitHub writes."""

    exit_code = 80


class NoGitHubToken(ConduitError):
    """There is no token with which GitHub could be called."""

    exit_code = 81


class GitHubUnreachable(ConduitError):
    """GitHub did not answer, or answered with an error of its own, for as long as we tried."""

    exit_code = 82


class GitHubRefused(ConduitError):
    """GitHub answered and would not do it."""

    exit_code = 83


class OnboardingBlocked(ConduitError):
    """The onboarding pull request cannot be made without undoing somebody's work."""

    exit_code = 84


class NotVerified(ConduitError):
    """The file is not what `conduit verify` wrote."""

    exit_code = 85


class NotAttested(ConduitError):
    """No signature says that this workflow built the image of this commit."""

    exit_code = 86


# 9x: contracts and stubs


class InvalidContract(ConduitError):
    """The contract is not one, or no code can be made of it."""

    exit_code = 90


class NotStubs(ConduitError):
    """The file is not a module that `conduit stubs` wrote."""

    exit_code = 91


class ContractBroken(ConduitError):
    """The contract changed in a way that breaks callers, and nobody approved it."""

    exit_code = 92


class GateFailed(ConduitError):
    """The build gave wrong answers, failed or was too slow in a gate, before any production call."""

    exit_code = 93


class InvalidExamples(ConduitError):
    """The repo's `examples/` cannot be used: not JSON, too large, or not what the activities take."""

    exit_code = 94


class NotAContract(ConduitError):
    """The contract file is neither a contract nor Python with typed signatures."""

    exit_code = 95


class UnfitAnswers(ConduitError):
    """A placeholder's answers name an activity that the contract lacks, do not fit it, or cannot be generated."""

    exit_code = 96


class PlaceholderRefused(ConduitError):
    """A placeholder would answer in production, and was not asked for by name."""

    exit_code = 97


class StubsOutdated(ConduitError):
    """The contract changed so that calls through the stubs would fail."""

    exit_code = 105


# 98: backfills


class BackfillFailed(ConduitError):
    """A backfill was ended before all its calls were made; what it kept is kept."""

    exit_code = 98


class OutputUnusable(ConduitError):
    """The output of a backfill cannot be written, or belongs to something else."""

    exit_code = 99


class BackfillUnderWay(ConduitError):
    """Another backfill of the algorithm is under way, and there is one at a time."""

    exit_code = 106


def all_errors() -> Mapping[str, type[ConduitError]]:
    """Every error by its name."""

    def walk(kind: type[ConduitError]) -> Iterable[type[ConduitError]]:
        for below in kind.__subclasses__():
            yield below
            yield from walk(below)

    return {error.__name__: error for error in walk(ConduitError)}


def restore(name: str, fields: Mapping[str, str]) -> ConduitError | None:
    """Make an error again from its name and `ConduitError.fields`; None if it is not one of ours."""
    kind = all_errors().get(name)
    if kind is None:
        return None
    return kind(fields["what"], why=fields["why"], now=fields["now"], log=fields["log"])
