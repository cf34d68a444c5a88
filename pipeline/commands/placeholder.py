"""`conduit placeholder`: a build that answers from a contract alone, or holds calls, until the algorithm is there."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from temporalio.client import Client

from pipeline import declared
from pipeline.commands.build import build_commit
from pipeline.commands.deliver import deliver
from pipeline.commands.release import Wishes, refuse_placeholder
from pipeline.commands.session import NOT_PROPAGATED, Session
from pipeline.deployments import Deployments
from pipeline.models import Value, algorithm_of
from pipeline.placeholders import answers, repo
from pipeline.placeholders.answers import How
from pipeline.rollout import host
from pipeline.rollout.messages import ReleaseRequest
from pipeline.runtimes import OF_ARTIFACT


class Declared(Value):
    """What the engineer gives."""

    algorithm: str
    contract: Path
    examples: Path | None = None
    hold: bool = False
    runtime: str = "process"


class Placed(Value):
    """What answers now."""

    decision: Literal["promoted", "unchanged", "held"]
    algorithm: str
    build_id: str
    digest: str
    answers: Mapping[str, How]
    previous: str | None = None
    propagated: bool = True

    def lines(self) -> list[str]:
        """The closing lines for people."""
        if self.decision == "held":
            first = f"{self.algorithm}: calls wait until the algorithm is delivered; no build is Current."
        else:
            already = (
                "already; nothing to do"
                if self.decision == "unchanged"
                else "until the algorithm is delivered"
            )
            first = f"{self.algorithm}: placeholder {self.build_id} answers {already}."
        return [
            first,
            *(f"  {activity}: {WORDS[how]}" for activity, how in self.answers.items()),
            *([] if self.propagated else [NOT_PROPAGATED]),
            f"  typed calls: conduit stubs {self.algorithm}",
        ]


WORDS: Mapping[How, str] = {
    "examples": "the examples given",
    "generated": "generated values that fit the contract",
    "held": "waits",
}


async def placeholder(session: Session, given: Declared, wishes: Wishes) -> Placed:
    """Make a placeholder of a contract and let it answer.

    Raises:
        NotAContract, UntypedActivity, UnfitAnswers: what was given cannot be used.
        PlaceholderRefused: this is production, and nobody asked for a placeholder there.
        ConduitError: what stopped it; the routing is as it was.
    """
    algorithm = algorithm_of(given.algorithm)
    contract = declared.read(given.contract, session.environment)
    examples = answers.read_examples(given.examples) if given.examples else {}
    plan = answers.plan(algorithm, contract, examples, hold=given.hold)
    client = await session.connect()
    refuse_placeholder(session, client, await Deployments(client).describe(algorithm), wishes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repo.write(
            folder,
            repo.files(algorithm, given.runtime, plan),
            author=session.by,
            subject="Placeholder: " + ", ".join(sorted(set(plan.how.values()))),
            origin=str(given.contract.resolve()),
        )
        made = Placed(
            decision="held",
            algorithm=algorithm,
            build_id="",
            digest=contract.digest,
            answers=plan.how,
        )
        if given.hold:
            return await _hold(session, client, folder, wishes, made)
        done = await deliver(session, folder, None, wishes.model_copy(update={"skip_tests": True}))
    return made.model_copy(
        update={
            "decision": done.decision,
            "build_id": done.build_id,
            "previous": done.previous,
            "propagated": done.propagated,
        }
    )


async def _hold(session: Session, client: Client, folder: Path, wishes: Wishes, made: Placed) -> Placed:
    build = build_commit(session, folder, None, wishes.image, None)
    request = ReleaseRequest(
        build=build,
        replicas=1,
        start_timeout=build.workers.start_timeout,
        by=session.by,
        reason=wishes.reason,
        run_url=session.run_url,
    )
    runtime = session.runtime(OF_ARTIFACT[build.artifact.kind])
    routed = await host.hold(client, request, runtime, session.report.on_step)
    return made.model_copy(
        update={
            "build_id": build.build_id,
            "previous": routed.previous,
            "propagated": routed.propagated,
        }
    )
