"""What the algorithm takes and gives."""

from pydantic import BaseModel, ConfigDict, Field


class AudioClip(BaseModel):
    """A recording of one speaker."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    wav: bytes = Field(
        min_length=1,
        # Temporal takes 2 MiB a payload, and base64 adds a third.
        max_length=1_500_000,
        description="WAV file, mono, 16 bits, 8000 Hz; base64 in JSON",
        repr=False,
    )


class SpeakerID(BaseModel):
    """Who is heard in a clip."""

    speaker: str = Field(description="name of the most similar enrolled speaker")
    confidence: float = Field(ge=0, le=1, description="share of the belief in this speaker")
