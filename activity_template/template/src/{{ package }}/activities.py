"""What production calls."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from . import model
from .models import AudioClip, SpeakerID


@activity.defn
def identify_speaker(clip: AudioClip) -> SpeakerID:
    """Say which enrolled speaker is heard in a clip."""
    try:
        belief = model.identify(clip.wav)
    except model.UnusableAudio as error:
        # The same clip would fail again: tell the caller now.
        raise ApplicationError(str(error), type="UnusableAudio", non_retryable=True) from error
    speaker = max(belief, key=belief.__getitem__)
    return SpeakerID(speaker=speaker, confidence=belief[speaker])
