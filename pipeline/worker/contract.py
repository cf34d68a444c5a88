"""The contract: JSON Schema of every activity's input and output."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Schema = dict[str, Any]


class ActivityContract(BaseModel):
    """What one activity takes and gives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=1000)
    doc: str = Field(default="", description="first line of its docstring")
    input: Schema | None = Field(description="JSON Schema of the argument; null where it takes none")
    output: Schema | None = Field(description="JSON Schema of the result; null where it gives none")


class Contract(BaseModel):
    """What one build takes and gives, by activity, in the order of their names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    activities: tuple[ActivityContract, ...]

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the contract's canonical JSON; equal contracts have equal digests."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
