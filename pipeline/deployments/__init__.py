"""A typed client for Temporal's Worker Deployments and for the heartbeats of their workers.

The Python SDK has the calls and no client for them. This package has nothing of the conduit's in it but
its errors: models in and out, conflict tokens, waiting with deadlines, and the server's peculiarities.
"""

from pipeline.deployments.asking import explain, is_absent, polls
from pipeline.deployments.client import Deployments
from pipeline.deployments.models import Deployment, Status, Version, VersionDetails, Worker

__all__ = [
    "Deployment",
    "Deployments",
    "Status",
    "Version",
    "VersionDetails",
    "Worker",
    "explain",
    "is_absent",
    "polls",
]
