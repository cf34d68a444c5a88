"""`conduit demo`: running workflows change to a better build and back; real parts alone, and checked.

Which build answered a call is read from the workflows' histories: the worker that started an activity wrote
its identity there, and that holds its build ID.
"""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle

from pipeline import connection, paths, scaffold
from pipeline.commands.demo_seen import (
    ALGORITHM,
    TELLING_CLIP,
    Answer,
    DemoResult,
    StreamSeen,
    build_of,
    check,
    failed,
    sequence,
    settled,
    table,
)
from pipeline.commands.new import new
from pipeline.devserver import (
    Child,
    DevServer,
    find_binary,
    local_environment,
    sample_worker,
)
from pipeline.runtimes import RuntimeOptions
from pipeline.runtimes.process import ProcessRuntime

WORKFLOW = "SpeakerStreamWorkflow"
WORKFLOW_QUEUE = "speaker-workflows"
CLIPS = (TELLING_CLIP, "alice-volume.wav", "diana-password.wav")
INTERVAL = 0.3
"""Seconds from an answer to the next call of a stream."""
SHORT_RELEASE = """
# The demo's ramp and watch are short; without this table they take two minutes.
[tool.conduit.release]
steps = [{ramp = 50, for = "2s"}]
min-calls = 3
inconclusive-limit = "2s"
watch = "2s"
"""
DEADLINE = 120.0
"""Seconds in which the running workflows must have changed; they need one or two."""
PAUSE = 0.1
# Failed workflow tasks are not among them: the server fails one whenever a signal overtakes it, and repeats it.
FAILURES = {
    f"EVENT_TYPE_{what}_{end}"
    for what in ("ACTIVITY_TASK", "WORKFLOW_EXECUTION")
    for end in ("FAILED", "TIMED_OUT", "CANCELED", "TERMINATED")
}
RESEARCHER = {
    **{"GIT_AUTHOR_NAME": "A Researcher", "GIT_AUTHOR_EMAIL": "researcher@example.org"},
    **{"GIT_COMMITTER_NAME": "A Researcher", "GIT_COMMITTER_EMAIL": "researcher@example.org"},
}


def demo(
    *, environment: Mapping[str, str], say: Callable[[str], None], workflows: int = 3, keep: bool = False
) -> DemoResult:
    """Deliver, improve, deliver again and roll back under running workflows, in a folder of its own.

    Args:
        environment: the user's; its settings for Temporal and the conduit are not used.
        say: writes a line for the user.
        workflows: how many run.
        keep: leave the folder, with the research repo, the builds and the logs, where it is.

    Raises:
        DemoFailed: a step or a check failed.
        ServerFailed: the local server or the sample worker did not start, or ended.
    """
    binary = find_binary(paths.home(environment) / "temporal")
    with _folder(keep, say) as folder:
        say("1. Start a Temporal server and the worker of the sample workflows")
        with DevServer(binary, folder, environment) as server, sample_worker(server) as worker:
            say(f"    {server.ui}")
            stage = _Stage(folder, server, worker, environment, say)
            with _workers_stopped(stage):
                result = asyncio.run(_tell(stage, workflows))
    check(result.streams, result.first_build, result.better_build)
    for line in table(result).splitlines():
        say(line)
    say("Checked: each running workflow changed to the better build and back; none failed or was restarted.")
    return result


@contextmanager
def _folder(keep: bool, say: Callable[[str], None]) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="conduit-demo-")).resolve()
    try:
        yield folder
    finally:
        if keep:
            say(f"Everything is kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Stage:
    """Where the story is told: the folder, the parts, and the environment of the commands."""

    folder: Path
    server: DevServer
    worker: Child
    user_environment: Mapping[str, str] = field(repr=False)
    say: Callable[[str], None]

    @property
    def home(self) -> Path:
        """The conduit's own folder while the demo runs."""
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        code = str(Path(scaffold.__file__).parent.parent)
        return local_environment(self.user_environment, self.server.address) | {
            "CONDUIT_HOME": str(self.home),
            "PYTHONPATH": code,
            "PYTHONUNBUFFERED": "1",
        }

    def check(self) -> None:
        """See that the server and the sample worker still run; raises ServerFailed."""
        self.server.check()
        self.worker.check()


@contextmanager
def _workers_stopped(stage: _Stage) -> Iterator[None]:
    """Stop the workers of all builds in the end: they outlive the commands that started them."""
    try:
        yield
    finally:
        runtime = ProcessRuntime(
            RuntimeOptions(home=stage.home, connection=connection.variables(stage.environment))
        )
        for build in paths.builds(stage.home, ALGORITHM).glob("*/"):
            runtime.stop(ALGORITHM, build.name)


async def _tell(stage: _Stage, workflows: int) -> DemoResult:
    """The story."""
    stage.say(f"2. Make a research repo: conduit new {ALGORITHM}")
    repo = await asyncio.to_thread(_research_repo, stage)
    stage.say("3. Deliver it: conduit deliver")
    first_build = await _deliver(stage, repo)
    client = await connection.connect(stage.environment, identity="conduit-demo")
    stage.say(f"4. Start {workflows} workflows that identify speakers until they are told to finish")
    async with _streams(client, repo, workflows) as streams:
        await _all_answered_by(stage, streams, first_build)
        stage.say("5. Improve the model, commit, deliver: the workflows run on")
        await asyncio.to_thread(_improve, stage, repo)
        better_build = await _deliver(stage, repo)
        await _all_answered_by(stage, streams, better_build)
        stage.say(f"6. Roll back: conduit rollback {ALGORITHM}")
        await _conduit(stage, "rollback", ALGORITHM, "--reason", "the demo shows a roll-back")
        await _all_answered_by(stage, streams, first_build)
        stage.say("7. Let the workflows finish")
        seen = await asyncio.gather(*(stream.finish() for stream in streams))
    return DemoResult(first_build=first_build, better_build=better_build, streams=tuple(seen))


def _research_repo(stage: _Stage) -> Path:
    repo = new(ALGORITHM, into=stage.folder).repo
    if repo.commit is None:  # git knows no user here
        _commit(stage, repo.folder, "Begin with the template of a research repo")
    return repo.folder


def _improve(stage: _Stage, repo: Path) -> None:
    scaffold.improve(repo)
    with (repo / "pyproject.toml").open("a") as pyproject:
        pyproject.write(SHORT_RELEASE)
    _commit(stage, repo, "Hear pitch too")


def _commit(stage: _Stage, repo: Path, subject: str) -> None:
    """Commit everything as a researcher whose git has no settings that could get in the way."""
    config = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    ours = {name: value for name, value in stage.environment.items() if not name.startswith("GIT_")}
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        ("commit", "--quiet", f"--message={subject}"),
    ):
        step = subprocess.run(
            ["git", "-C", str(repo), *arguments],
            env=ours | config | RESEARCHER,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if step.returncode != 0:
            raise failed(f"`git {arguments[0]}` failed", why=step.stderr.strip())


async def _deliver(stage: _Stage, repo: Path) -> str:
    """Deliver the repo's commit; return the build that is live then."""
    await _conduit(stage, "deliver", "--project", str(repo))
    status = json.loads(await _conduit(stage, "status", ALGORITHM, "--json", quiet=True))
    return str(status["current"]["build_id"])


async def _conduit(stage: _Stage, *arguments: str, quiet: bool = False) -> str:
    """Run a command of the conduit to its end, showing its output as it comes; return that."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pipeline", *arguments),
        cwd=stage.folder,
        env=stage.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=None if quiet else asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for us: we stop it in our own order
    )
    output = []
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        async for line in process.stdout:
            output.append(line.decode(errors="replace"))
            if not quiet:
                stage.say(f"    {output[-1].rstrip()}")
        code = await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    if code != 0:
        raise failed(
            f"`conduit {arguments[0]}` ended with exit code {code}", why="".join(output[-40:]).strip()
        )
    return "".join(output)


class _Stream:
    """One running workflow and what its history has shown so far."""

    def __init__(
        self, client: Client, handle: WorkflowHandle[object, object], clips: Mapping[str, str]
    ) -> None:
        self._client = client
        self._handle = handle
        self._clips = clips
        self._run_id: str | None = handle.first_execution_run_id
        self._scheduled: dict[int, str] = {}
        self._started: dict[int, str] = {}
        self.seen = StreamSeen(workflow_id=handle.id)
        self._following = asyncio.create_task(self._follow())

    def check(self) -> None:
        """Raise what went wrong, in the workflow or while its history was read."""
        if self._following.done():
            self._following.result()
        if self.seen.failures:
            raise failed(
                f"{self._handle.id} failed: {', '.join(self.seen.failures)}", why=sequence(self.seen)
            )

    def stop(self) -> None:
        """Read the history no further."""
        self._following.cancel()

    async def _follow(self) -> None:
        """Read the history as it grows, from run to run, until the workflow ends."""
        run_id = self._run_id
        while run_id:
            self._run_id, run_id = run_id, None
            self._scheduled, self._started = {}, {}
            handle = self._client.get_workflow_handle(self._handle.id, run_id=self._run_id)
            async for event in handle.fetch_history_events(wait_new_event=True):
                self._note(event)
                run_id = (
                    event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id or run_id
                )

    async def finish(self) -> StreamSeen:
        """Tell the workflow to finish, and wait until its history says that it did."""
        await self._handle.signal("finish")
        try:
            async with asyncio.timeout(DEADLINE):
                await self._following
        except TimeoutError:
            raise failed(f"{self._handle.id} did not finish in {DEADLINE:.0f} seconds") from None
        latest = await self._client.get_workflow_handle(self._handle.id).describe()
        return self.seen.model_copy(update={"same_execution": latest.run_id == self._run_id})

    def _note(self, event: HistoryEvent) -> None:
        kind = EventType.Name(event.event_type)
        if event.HasField("activity_task_scheduled_event_attributes"):
            clip = _json(event.activity_task_scheduled_event_attributes.input.payloads[0].data)["wav"]
            self._scheduled[event.event_id] = self._clips.get(clip, "another clip")
        elif event.HasField("activity_task_started_event_attributes"):
            self._started[event.event_id] = event.activity_task_started_event_attributes.identity
        elif event.HasField("activity_task_completed_event_attributes"):
            self._answered(event)
        elif event.HasField("workflow_execution_completed_event_attributes"):
            self.seen = self.seen.model_copy(update={"completed": True})
        elif kind in FAILURES:
            failures = (*self.seen.failures, kind.removeprefix("EVENT_TYPE_").lower())
            self.seen = self.seen.model_copy(update={"failures": failures})

    def _answered(self, event: HistoryEvent) -> None:
        completed = event.activity_task_completed_event_attributes
        answer = Answer(
            build_id=build_of(self._started[completed.started_event_id]),
            clip=self._scheduled[completed.scheduled_event_id],
            speaker=_json(completed.result.payloads[0].data)["speaker"],
        )
        self.seen = self.seen.model_copy(update={"answers": (*self.seen.answers, answer)})


@asynccontextmanager
async def _streams(client: Client, repo: Path, count: int) -> AsyncIterator[list[_Stream]]:
    """Start the workflows and follow their histories."""
    encoded = {name: _base64(repo / "tests" / "clips" / name) for name in CLIPS}
    stream = {"clips": [{"wav": wav} for wav in encoded.values()], "repeat": True, "interval": INTERVAL}
    names = {wav: name for name, wav in encoded.items()}
    streams: list[_Stream] = []
    try:
        for number in range(1, count + 1):
            handle = await client.start_workflow(
                WORKFLOW, stream, id=f"speaker-stream-{number}", task_queue=WORKFLOW_QUEUE
            )
            streams.append(_Stream(client, handle, names))
        yield streams
    finally:
        for following in streams:
            following.stop()


async def _all_answered_by(stage: _Stage, streams: Sequence[_Stream], build_id: str) -> None:
    """Wait until the build has answered every clip of every stream."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not all(settled(stream.seen.answers, build_id, CLIPS) for stream in streams):
                stage.check()
                for stream in streams:
                    stream.check()
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        what = f"{build_id} did not answer all workflows in {DEADLINE:.0f} seconds"
        raise failed(what, why="\n".join(sequence(stream.seen) for stream in streams)) from None
    stage.say(f"    all {len(streams)} workflows are answered by {build_id}")


def _json(data: bytes) -> dict[str, str]:
    return cast(dict[str, str], json.loads(data))


def _base64(file: Path) -> str:
    """The file as the sample workflows write it in JSON."""
    return base64.urlsafe_b64encode(file.read_bytes()).decode()
