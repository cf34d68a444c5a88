"""Typed calls of the activities of `fingerprints`, for workflows.

Made by `conduit stubs fingerprints`. Do not edit it: make it again when `conduit stubs --check` fails.
Workers of these workflows need `pydantic_data_converter` of `temporalio.contrib.pydantic` in their client.
"""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer
from temporalio import workflow
from temporalio.common import RetryPolicy
from typing_extensions import Unpack

CONTRACT_DIGEST = "sha256:c9b6d5d5183d84de013f812b8fa244b034fd1961a8105361799c11340a5b961d"

DEFAULTS: workflow.ActivityConfig = {
    "task_queue": "fingerprints",
    "start_to_close_timeout": timedelta(minutes=10),
    # The worker heartbeats for every call, as long as it lives: one that no worker has is soon tried again.
    "heartbeat_timeout": timedelta(seconds=30),
    # No limit of attempts: a call that fails on a bad build completes on the good one.
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=30)),
}


async def _call(activity: str, arguments: list[Any], result: Any, options: workflow.ActivityConfig) -> Any:
    # The summary is what people see of the call in Temporal's UI; the worker's identity names the build.
    summary = f"fingerprints: {activity}"
    config: workflow.ActivityConfig = {"summary": summary, **DEFAULTS, **options}
    return await workflow.execute_activity(activity, args=arguments, result_type=result, **config)


class Message(BaseModel):
    """A field that was left out and has no default here is not sent: the algorithm's own default holds."""

    model_config = ConfigDict(populate_by_name=True)

    @model_serializer(mode="wrap")
    def _without_what_was_left_out(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        left_out = {
            key
            for name, field in type(self).model_fields.items()
            if name not in self.model_fields_set and getattr(self, name) is None
            for key in (name, field.alias)
        }
        return {key: value for key, value in fields(self).items() if key not in left_out}


class Document(Message):
    """
    A text to find again.
    """

    text: str


class Fingerprint(Message):
    """
    What it is found by.
    """

    bits: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    """
    64 bits, in hexadecimal
    """


async def fingerprint(
    argument: Document, **options: Unpack[workflow.ActivityConfig]
) -> Fingerprint:
    """Take a text's fingerprint."""
    result: Fingerprint = await _call("fingerprint", [argument], Fingerprint, options)
    return result


# What these stubs were made from, for `conduit stubs --check`.
CONTRACT = (
    "eNqFkdFKAzEQRX8lDIIvqViQgvumiF9Q6ENZYTaZbke7SczOSkvYfzfZgq5WEAJhknty7yUJ0Ah/sDD1UG0TOOwIKtixay"
    "mGyE5Ag/Umn63xjRQqoaNc92qmuMkSdmEQqBJY6k3kIOxdZh4muRJf9FZhi+yKPEQfKJ5dExTNtLMcivu6zBrkFMrUSzZp"
    "YRw1RHofOJLNUc9Qrb+gJ2+GjtwM9M0rGYHM+UH+jLfZoyjOK/fxQw7YnC7TNSz9Jbq6U+VCK3ZqT0e0ZLjDQ6FRhGLRvG"
    "xvF/e42NVpuRqv4DvrY3nyv4KT76zg848/+dVxrMdPmDmcPg=="
)
