"""What the stand-ins themselves refuse, so that a green test of a page means something."""

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.github.page_models import Check
from pipeline.github.pages import Pages
from tests.integration.github.conftest import PATIENCE, Owner
from tests.parts.github_api import Door, Service

FAULT = {"path": "a.py", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "x"}
CHECK = {"name": "conduit", "head_sha": "1f" * 20}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/check-runs", CHECK | {"output": {"title": "x", "summary": "x", "annotations": [FAULT] * 51}}),
        ("/check-runs", CHECK | {"output": {"title": "x", "summary": "x" * 65_536}}),
        ("/check-runs", CHECK | {"status": "finished"}),
        ("/check-runs", {"name": "conduit"}),
        ("/deployments/1/statuses", {"state": "live"}),
        ("/deployments/1/status", {"state": "success"}),
        ("/issues/x/comments", {"body": "x"}),
    ],
)
def test_a_call_that_githubs_description_does_not_allow(checker: Service, path: str, body: Any) -> None:
    with Door(checker=checker.port, answerer=checker.port).open() as door:
        connection = http.client.HTTPConnection("127.0.0.1", door.port)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"/repos/acme/speaker-id{path}", json.dumps(body), headers)
        connection.getresponse().read()
        connection.close()
    assert len(door.objections()) == 1


def test_a_token_without_the_permission(
    stateful: Door,
    as_job: Callable[..., dict[str, str]],
    job_token: Callable[[dict[str, str]], str],
    owner: Owner,
) -> None:
    repository = owner.repo({"a.py": ""})
    head = repository.get_branch("main").commit.sha
    job = as_job(stateful, repository.full_name, head, GITHUB_TOKEN=job_token({"contents": "read"}))
    pages = Pages(job, patience=PATIENCE)
    pages.check(Check(name="conduit", conclusion="success", title="Passed", summary="…"))
    assert pages.left_out[0].startswith("the check run: GitHub did not take the check run. 403")
