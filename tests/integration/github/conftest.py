"""GitHub's two stand-ins, started once, and a door of its own for each test."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import github
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from github.Repository import Repository

from pipeline.github.answers import Patience
from pipeline.github.client import Client
from tests.parts import github_api
from tests.parts.github_api import APP_ID, INSTALLATION_ID, PERMISSIONS, PERSON_TOKEN, Door, Service

PATIENCE = Patience(total=10, first_pause=0.01, longest_pause=0.05, rate_limit_pause=0.01)
NUMBERS = count(1)


@pytest.fixture(scope="session")
def app_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


@pytest.fixture(scope="session")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    try:
        service = github_api.steady(tmp_path_factory.mktemp("steady"))
    except github_api.PartsMissing as missing:
        pytest.skip(str(missing))
    with service:
        yield service


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory, app_key: str) -> Iterator[Service]:
    try:
        service = github_api.emulator(tmp_path_factory.mktemp("emulate"), app_key)
    except github_api.PartsMissing as missing:
        pytest.skip(str(missing))
    with service:
        yield service


@pytest.fixture
def described(checker: Service) -> Iterator[Door]:
    """GitHub as its description has it; a call that it does not allow fails the test."""
    with Door(checker=checker.port, answerer=checker.port).open() as door:
        yield door
    assert door.objections() == []


@pytest.fixture
def stateful(checker: Service, emulator: Service) -> Iterator[Door]:
    """GitHub that remembers; a call that the description does not allow fails the test."""
    with Door(checker=checker.port, answerer=emulator.port).open() as door:
        yield door
    assert door.objections() == []


@pytest.fixture(scope="session")
def job_token(emulator: Service, app_key: str) -> Callable[[dict[str, str]], str]:
    """Make a token like a job's, which acts as a bot, with the given permissions."""
    app = github.Auth.AppAuth(APP_ID, app_key)
    integration = github.GithubIntegration(auth=app, base_url=f"http://127.0.0.1:{emulator.port}")
    return lambda permissions: integration.get_access_token(INSTALLATION_ID, permissions=permissions).token


@dataclass(frozen=True)
class Owner:
    """A person who owns repos; what they do is not recorded at the door."""

    api: github.Github

    def repo(self, files: Mapping[str, str]) -> Repository:
        """A new repo whose `main` holds these files."""
        repository = self.api.get_user().create_repo(f"speaker-id-{next(NUMBERS)}", auto_init=True)
        self.commit(repository, "main", "Research", files)
        return repository

    def commit(self, repository: Repository, branch: str, message: str, files: Mapping[str, str]) -> str:
        """Commit files to a branch, and return the commit's SHA."""
        head = repository.get_git_commit(repository.get_git_ref(f"heads/{branch}").object.sha)
        entries = [
            github.InputGitTreeElement(path, "100644", "blob", content=text) for path, text in files.items()
        ]
        tree = repository.create_git_tree(entries, base_tree=head.tree)
        commit = repository.create_git_commit(message, tree, [head])
        address = f"{repository.url}/git/refs/heads/{branch}"
        repository.requester.requestJsonAndCheck("PATCH", address, input={"sha": commit.sha})
        return commit.sha

    def file(self, repository: Repository, path: str, branch: str) -> str:
        """The text of a file on a branch."""
        content = repository.get_contents(path, ref=branch)
        assert not isinstance(content, list)
        return content.decoded_content.decode()


@pytest.fixture
def owner(emulator: Service) -> Owner:
    return Owner(
        github.Github(
            base_url=f"http://127.0.0.1:{emulator.port}",
            auth=github.Auth.Token(PERSON_TOKEN),
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )
    )


@pytest.fixture
def as_person() -> Callable[[Door], Client]:
    """A client with a person's token, as `conduit onboard` has."""
    return lambda door: Client(door.url, PERSON_TOKEN, PATIENCE)


@pytest.fixture
def as_job(job_token: Callable[[dict[str, str]], str]) -> Callable[..., dict[str, str]]:
    """The variables of a job on a repo whose GitHub is behind a door."""

    def environment(door: Door, repository: str, sha: str = "1f" * 20, **more: str) -> dict[str, str]:
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": repository,
            "GITHUB_SHA": sha,
            "GITHUB_API_URL": door.url,
            "GITHUB_SERVER_URL": "https://git.example",
            "GITHUB_RUN_ID": "42",
            "GITHUB_TOKEN": job_token(PERMISSIONS),
            **more,
        }

    return environment
