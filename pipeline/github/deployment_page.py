"""A build's release as a GitHub Deployment: what the repo's page shows under "Deployments".

The environment is the algorithm, so that in a repo with several of them one's release does not end another's.
"""

from github.Deployment import Deployment
from github.Repository import Repository

from pipeline.github import escape
from pipeline.github.page_models import DeploymentStatus

LONGEST_DESCRIPTION = 140


def show(repository: Repository, status: DeploymentStatus, run_url: str) -> None:
    """Give the build's deployment a status that links to a run; make the deployment if there is none."""
    deployment = _find(repository, status.algorithm, status.build_id) or _create(repository, status)
    body = {
        "state": status.state,
        "description": _short(status.description),
        "environment_url": status.ui_url,
        "log_url": run_url,
        # GitHub then ends the algorithm's earlier deployments itself.
        "auto_inactive": True,
    }
    # PyGithub's `create_status` knows no `log_url`.
    repository.requester.requestJsonAndCheck("POST", f"{deployment.url}/statuses", input=body)


def end(repository: Repository, algorithm: str, build_id: str, because: str) -> None:
    """Make the deployment of a build inactive, if there is one."""
    deployment = _find(repository, algorithm, build_id)
    if deployment is not None:
        deployment.create_status("inactive", description=_short(because))


def _find(repository: Repository, algorithm: str, build_id: str) -> Deployment | None:
    newest_first = repository.get_deployments(environment=algorithm, task=_task(build_id))
    return next(iter(newest_first), None)


def _create(repository: Repository, status: DeploymentStatus) -> Deployment:
    return repository.create_deployment(
        status.commit,
        task=_task(status.build_id),
        # Neither merges the default branch into the commit nor waits for its checks, of which we are one.
        auto_merge=False,
        required_contexts=[],
        payload={"algorithm": status.algorithm, "build_id": status.build_id},
        environment=status.algorithm,
        description=f"Build {status.build_id}",
    )


def _task(build_id: str) -> str:
    # GitHub can filter by it, so a build's deployment is found without reading them all.
    return f"conduit:{build_id}"


def _short(text: str) -> str:
    return escape.mute(text)[:LONGEST_DESCRIPTION]
