"""GitHub Actions on this machine: the real workflow files, run by `act`, job after job, as programs of this machine.

What `act` does not know is put in its place in an exported copy: the form `$/` for "this repository at this
commit", the two facts of `job` about the called workflow, and the actions of others, each by a small one in
`tests/actions/stand_ins` that does the real thing.
"""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.parts.pages import Block, blocks
from tests.parts.repos import git, write
from tests.parts.workflow_files import ROOT, workflow

STAND_INS = ROOT / "tests" / "actions" / "stand_ins"
TOOLKIT = "acme/algorithm-conduit"
REF = "v1"
USES = re.compile(r"uses: ([\w.-]+/[\w.-]+)@([0-9a-f]{40})\b")
LONGEST_RUN = 280.0


def act_binary() -> Path | None:
    """The `act` program that is installed beside this interpreter, or that of PATH."""
    beside = Path(sys.executable).with_name("act")
    found = beside if beside.exists() else shutil.which("act")
    return Path(found) if found else None


@dataclass(frozen=True)
class Run:
    """What one run of a workflow did."""

    code: int
    events: Sequence[Mapping[str, Any]]
    results: Mapping[str, str]
    """`success` or `failure` of each job that ran, by its ID, in the order in which they ended."""

    @property
    def jobs(self) -> list[str]:
        """The jobs that ran, in the order in which they ended."""
        return list(self.results)

    @property
    def log(self) -> str:
        """What the steps printed and what was said of them."""
        return "".join(f"{event.get('msg', '')}".rstrip() + "\n" for event in self.events)

    def summary(self, job: str) -> str:
        """The summary that a job wrote, as it is read and not as it is escaped."""
        own = (event for event in self._of(job) if event.get("command") == "summary")
        return html.unescape(re.sub(r"\\([^\w\s])", r"\1", "".join(str(event["content"]) for event in own)))

    def outputs(self, job: str) -> dict[str, str]:
        """The outputs that a job's steps set."""
        own = (event for event in self._of(job) if event.get("command") == "set-output")
        return {str(event["name"]): str(event["arg"]) for event in own}

    def commands(self, job: str) -> list[Mapping[str, Any]]:
        """The workflow commands that a job's steps gave to the runner, and that it carried out."""
        own = ("summary", "set-output", "ignored")
        return [event for event in self._of(job) if event.get("command") not in (None, *own)]

    def _of(self, job: str) -> Iterator[Mapping[str, Any]]:
        return (event for event in self.events if event.get("jobID") == job)


@dataclass
class Actions:
    """A research repo on a GitHub of this machine, whose pushes are run."""

    folder: Path
    act: Path
    files: Mapping[str, str]
    environment: Mapping[str, str]
    """What the runner's machine has beside this process's own variables."""
    secrets: Mapping[str, str]
    inputs: Mapping[str, str | bool] = field(default_factory=dict)
    """Given by the callers, as far as the workflow that each calls takes them."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The repo's configuration variables, `vars` in its workflows."""
    repository: str = "acme/research"

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self._toolkit = export(self.folder / "toolkit")
        self.remote = self.folder / "remote.git"
        self.clone = self.folder / "clone"
        git(self.folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.remote))
        for allowed in ("allowAnySHA1InWant", "allowFilter"):
            git(self.remote, "config", f"uploadpack.{allowed}", "true")
        git(self.folder, "init", "--quiet", "--initial-branch=main", str(self.clone))
        git(self.clone, "remote", "add", "origin", f"https://github.com/{self.repository}")
        write(self.clone, {**self.files, **self._callers()})
        self.runs = 0

    def commit(
        self, files: Mapping[str, str], message: str = "More research", *, author: str = "Researcher"
    ) -> str:
        """Commit to the checked-out branch."""
        write(self.clone, files)
        git(self.clone, "add", "--all")
        author = re.sub(r"[<>\n]", " ", author)  # git takes the rest
        git(
            self.clone,
            *("commit", "--quiet", "--allow-empty"),
            f"--author={author} <x@y>",
            f"--message={message}",
        )
        return git(self.clone, "rev-parse", "HEAD")

    def push(self, **machine: Mapping[str, str]) -> Run:
        """Push the checked-out branch and run what that starts."""
        self.send()
        return self.pushed(**machine)

    def send(self) -> None:
        """Push the checked-out branch, and run nothing yet."""
        branch = git(self.clone, "branch", "--show-current")
        git(self.clone, "push", "--quiet", "--force", str(self.remote), f"HEAD:refs/heads/{branch}")

    def pushed(self, **machine: Mapping[str, str]) -> Run:
        """Run what a push of the checked-out commit starts; where the branch is by now is another matter."""
        branch = git(self.clone, "branch", "--show-current")
        return self._run("push", "conduit.yml", {"ref": f"refs/heads/{branch}"}, **machine)

    def pull_request(
        self, branch: str, number: int, *, fork: str | None = None, **machine: Mapping[str, str]
    ) -> Run:
        """Run what a pull request of a branch into main starts: on its merge, as GitHub does."""
        head = git(self.clone, "rev-parse", branch)
        base = git(self.clone, "rev-parse", "main")
        git(self.clone, "checkout", "--quiet", "--detach", "main")
        git(self.clone, "merge", "--quiet", "--no-ff", "--message", f"Merge {head} into {base}", branch)
        git(
            self.clone,
            "push",
            "--quiet",
            "--force",
            str(self.remote),
            f"HEAD:refs/pull/{number}/merge",
            "main",
        )
        pull = {
            "number": number,
            "head": {"sha": head, "ref": branch, "repo": {"full_name": fork or self.repository}},
            "base": {"sha": base, "ref": "main", "repo": {"full_name": self.repository}},
        }
        try:
            payload = {"number": number, "pull_request": pull}
            return self._run("pull_request", "conduit.yml", payload, **machine)
        finally:
            git(self.clone, "checkout", "--quiet", "main")

    def roll_back(self, reason: str, build_id: str = "", **machine: Mapping[str, str]) -> Run:
        """Press the "Roll back" button."""
        payload = {"ref": "refs/heads/main", "inputs": {"build-id": build_id, "reason": reason}}
        return self._run("workflow_dispatch", "conduit-rollback.yml", payload, **machine)

    def _callers(self) -> dict[str, str]:
        """What the page of repo owners has them paste, with this machine's inputs."""
        return {block.file: self._caller(block) for block in blocks("docs/github.md")}

    def _caller(self, block: Block) -> str:
        called = Path(block.file).stem.removeprefix("conduit-")
        taken = workflow(called)["on"]["workflow_call"]["inputs"]
        given = {name: json.dumps(value) for name, value in self.inputs.items() if name in taken}
        lines = "".join(f"      {name}: {value}\n" for name, value in given.items())
        return _with(block.text.replace("ORG/", "acme/"), lines)

    def _run(
        self,
        event: str,
        workflow: str,
        payload: Mapping[str, Any],
        secrets: Mapping[str, str] = {},
        environment: Mapping[str, str] = {},
    ) -> Run:
        """Run a workflow, with other secrets and variables of the machine where a test wants them."""
        self.runs += 1
        own = self.folder / f"run-{self.runs}"
        (own / "artifacts").mkdir(parents=True)
        repository = {"full_name": self.repository, "default_branch": "main", "visibility": "private"}
        (own / "event.json").write_text(json.dumps({"repository": repository, **payload}))
        given = {**self.secrets, **secrets}
        (own / "secrets").write_text("".join(f"{name}={json.dumps(v)}\n" for name, v in given.items()))
        surrounding = {**self._machine(own), **environment}
        with (own / "log.json").open("wb") as log, (own / "errors").open("wb") as errors:
            done = subprocess.run(
                self._command(event, workflow, own, environment),
                cwd=self.clone,
                env=surrounding,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                timeout=LONGEST_RUN,
                check=False,
            )
        return _read(done.returncode, own / "log.json")

    def _command(
        self, event: str, workflow: str, own: Path, environment: Mapping[str, str]
    ) -> list[str | Path]:
        actions = [(TOOLKIT, REF, self._toolkit)]
        actions += [
            (action, sha, STAND_INS / action)
            for action, sha in sorted(_others(self._toolkit))
            if (STAND_INS / action).exists()
        ]
        return [
            *(self.act, event, f"--workflows=.github/workflows/{workflow}", "--actor=researcher", "--json"),
            *(
                f"--eventpath={own}/event.json",
                f"--secret-file={own}/secrets",
                f"--action-cache-path={own}/act",
            ),
            *(f"--var={name}={value}" for name, value in self.variables.items()),
            *("--platform=ubuntu-latest=-self-hosted", "--no-skip-checkout", "--no-cache-server"),
            *(f"--env={name}={value}" for name, value in environment.items() if name.startswith("GITHUB_")),
            *(f"--local-repository={action}@{ref}={place}" for action, ref, place in actions),
        ]

    def _machine(self, own: Path) -> dict[str, str]:
        """The runner's machine; `act` gives its own variables to every step."""
        docker = own / "docker"
        shutil.copytree(
            os.environ["DOCKER_CONFIG"], docker, symlinks=True, ignore=shutil.ignore_patterns("config.json")
        )
        leading_astray = ("VIRTUAL_ENV", "GITHUB_", "ACTIONS_", "PYTEST_", "TEMPORAL_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(leading_astray)}
        return {
            **kept,
            "ACT_ARTIFACTS": str(own / "artifacts"),
            "ACT_UV": str(Path(sys.executable).with_name("uv")),
            "DOCKER_CONFIG": str(docker),
            "XDG_CONFIG_HOME": str(own / "config"),
            "PAGER": "cat",
            "GIT_CONFIG_GLOBAL": str(self._git_config()),
            **self.environment,
        }

    def _git_config(self) -> Path:
        file = self.folder / "gitconfig"
        file.write_text(f'[url "file://{self.remote}"]\n\tinsteadOf = https://github.com/{self.repository}\n')
        return file


def export(folder: Path) -> Path:
    """The repository as it stands here, as GitHub would hand it to a job, in the form that `act` understands."""
    folder.mkdir()
    index = {**os.environ, "GIT_INDEX_FILE": str(folder.with_name("toolkit.index"))}
    _git(["add", "--all"], index)
    tree = _git(["write-tree"], index).decode().strip()
    subprocess.run(
        ["tar", "--extract", "--directory", folder], input=_git(["archive", tree], index), check=True
    )
    for file in (folder / ".github").rglob("*.yml"):
        text = file.read_text()
        text = re.sub(r"uses: \$/(\S+)", rf"uses: {TOOLKIT}/\1@{REF}", text)
        text = text.replace("${{ job.workflow_repository }}", TOOLKIT)
        file.write_text(text)
    return folder


def _git(arguments: list[str], environment: Mapping[str, str]) -> bytes:
    done = subprocess.run(["git", "-C", ROOT, *arguments], env=environment, capture_output=True, check=True)
    return done.stdout


def _others(toolkit: Path) -> set[tuple[str, str]]:
    """The actions of others that the conduit's workflows use."""
    files = (toolkit / ".github").rglob("*.yml")
    return {(action, sha) for file in files for action, sha in USES.findall(file.read_text())}


def _with(caller: str, given: str) -> str:
    if not given:
        return caller
    if "    with:\n" in caller:
        return caller.replace("    with:\n", f"    with:\n{given}")
    return caller.replace("    secrets: inherit", f"    with:\n{given}    secrets: inherit")


def _read(code: int, log: Path) -> Run:
    events = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            event = {"msg": line}
        events.append(event)
    results = {event["jobID"]: event["jobResult"] for event in events if "jobResult" in event}
    return Run(code=code, events=events, results=results)
