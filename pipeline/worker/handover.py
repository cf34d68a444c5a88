"""Handing running calls over to another build: when it is time, and how a call ends that goes on elsewhere.

The host reads its deployment's routing itself, as long as it runs a call that can move. So it makes no difference
who promoted another build, and with what, and no one has to reach every worker.
"""

import asyncio
import inspect
import logging
import time
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentResponse,
)
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from pipeline.worker.checkpoint import CURRENT, Call, HandedOver, Store

logger = logging.getLogger(__name__)

RPC_TIMEOUT = timedelta(seconds=10)
AT_ONCE = timedelta(milliseconds=100)
PROPAGATED_BY_NOW = 10.0
"""Seconds after which routing counts as known everywhere, though the server still says that it is not.

It says so now and then long after the change took effect. A call that is handed over too early comes back once."""


class Handover(Interceptor):
    """Knows the calls that save their state, and tells them when to go on elsewhere."""

    def __init__(self, store: Store | None = None) -> None:
        """Begin with no calls."""
        self.store = store
        self.calls: set[Call] = set()
        self._wanted = False

    @property
    def wants_handover(self) -> bool:
        """Whether calls that can should go on elsewhere; see `Host`."""
        return self._wanted

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Run each call through this object."""
        return _Saving(next, self)

    def want(self, wanted: bool) -> None:
        """Ask the calls to go on elsewhere, or no longer; the log names those that have to stay."""
        if wanted and not self._wanted:
            self._tell()
        self._wanted = wanted

    def _tell(self) -> None:
        staying = [call.info for call in self.calls if call.checkpoint and not call.hands_over]
        logger.info(
            "%d calls are handed over, %d end here", sum(c.hands_over for c in self.calls), len(staying)
        )
        for info in staying:
            logger.info(
                "activity %s of workflow %s ends here: %s", info.activity_type, info.workflow_id, _why(info)
            )

    async def follow_routing(self, client: Client, deployment: str, build_id: str, pause: float) -> None:
        """Ask for hand-over as long as calls are routed to another build and none to this one. Never ends."""
        request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment)
        since: float | None = None
        while True:
            await asyncio.sleep(pause)
            if not any(call.hands_over for call in self.calls):
                since = None
                self.want(False)
                continue
            try:
                seen = await client.workflow_service.describe_worker_deployment(request, timeout=RPC_TIMEOUT)
            except RPCError as error:
                logger.warning("the routing cannot be read, calls stay here meanwhile: %s", error)
                continue
            if not passed_on(seen, build_id):
                since = None
                self.want(False)
                continue
            since = since or time.monotonic()
            if is_propagated(seen) or time.monotonic() - since > PROPAGATED_BY_NOW:
                self.want(True)


def _why(info: activity.Info) -> str:
    attempts = info.retry_policy.maximum_attempts if info.retry_policy else 0
    if attempts and info.attempt >= attempts:
        return f"it is at the last attempt that its caller allows, number {attempts}"
    return "its checkpoint does not say `handover`"


def passed_on(seen: DescribeWorkerDeploymentResponse, build_id: str) -> bool:
    """Whether a build had calls once, and now another one gets them all.

    A candidate, which had none yet, is called through its pinned workflow, and keeps those calls.
    """
    info = seen.worker_deployment_info
    routing = info.routing_config
    live = {routing.current_deployment_version.build_id, routing.ramping_deployment_version.build_id} - {""}
    was_live = any(
        version.deployment_version.build_id == build_id and version.HasField("first_activation_time")
        for version in info.version_summaries
    )
    return was_live and bool(routing.current_deployment_version.build_id) and build_id not in live


def is_propagated(seen: DescribeWorkerDeploymentResponse) -> bool:
    """Whether the server says that all task queues know the routing."""
    state = seen.worker_deployment_info.routing_config_update_state
    return state != RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS


class _Saving(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, handover: Handover) -> None:
        super().__init__(next)
        self._handover = handover

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        loop = asyncio.get_running_loop() if inspect.iscoroutinefunction(input.fn) else None
        call = Call(activity.info(), self._handover, loop)
        CURRENT.set(call)
        self._handover.calls.add(call)
        try:
            return await self.next.execute_activity(input)
        except HandedOver:
            raise ApplicationError(
                "the call goes on elsewhere from the state that it saved",
                type="HandedOver",
                next_retry_delay=AT_ONCE,
                category=ApplicationErrorCategory.BENIGN,
            ) from None
        except BaseException:
            if call.has_unsent:  # research code may have all threads busy
                await _flush(call)
            raise
        finally:
            self._handover.calls.discard(call)


async def _flush(call: Call) -> None:
    flushing = asyncio.ensure_future(asyncio.to_thread(call.flush))
    try:
        await asyncio.wait({flushing})
    finally:  # also where the host gives the call up meanwhile, which leaves a slow store some seconds
        try:
            await flushing
        except Exception:
            logger.exception("the last state of %s could not be saved", call.info.activity_type)
