"""Speak the clips of the template; run again only to change them. Needs `espeak-ng` and `sox`.

    python activity_template/voices.py                   # writes the template's own clips
    python activity_template/voices.py --more FOLDER     # writes other sentences, to measure a model on

Bruno and Carlos have one throat and different pitch, which an average spectrum can hardly tell apart: that is
what leaves the template's first model something to be improved on.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent / "template"
ENROLLED = ROOT / "src" / "{{ package }}" / "enrolled"
HELD_OUT = ROOT / "tests" / "clips"
EXAMPLE = ROOT / "examples" / "alice.json"
RATE = 8000
NO_SILENCE_AT_START = ("silence", "1", "0.01", "0.5%")


class Voice(NamedTuple):
    """A voice of espeak-ng; pitch from 0 to 99."""

    variant: str
    pitch: int


VOICES = {
    "alice": Voice("en-us+f2", 50),
    "bruno": Voice("en-us+m3", 30),
    "carlos": Voice("en-us+m3", 70),
    "diana": Voice("en-us+f4", 80),
}
ENROLMENT = "Open the door of the machine room."
TESTS = {"password": "My voice is my password.", "volume": "Turn the volume down a little."}
MORE = (
    "The quick brown fox jumps over the lazy dog.",
    "She had your dark suit in greasy wash water.",
    "Please call me again tomorrow morning.",
    "We were away a year ago.",
    "Where is the nearest railway station?",
    "Nine eight seven six five four.",
    "I would like to speak to someone.",
    "Good evening and welcome home.",
    "The weather is fine in the north.",
    "Send the letter to my office.",
    "How much does this ticket cost?",
    "One two three four five six.",
    "The train leaves at half past ten.",
    "It is raining in the mountains.",
    "Read me the last message again.",
    "Every colour has a name.",
    "Thank you for waiting so long.",
)


def speak(text: str, voice: Voice, clip: Path) -> None:
    """Write `text` in `voice` as mono 16-bit WAV at `RATE`, without silence at its ends."""
    clip.parent.mkdir(parents=True, exist_ok=True)
    spoken = subprocess.run(
        ["espeak-ng", "-v", voice.variant, "-p", str(voice.pitch), "-s", "165", "--stdout", text],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    # espeak-ng cannot know the length before it writes the header, hence --ignore-length.
    source = ["-t", "wav", "--ignore-length", "-"]
    target = ["-r", str(RATE), "-c", "1", "-b", "16", str(clip)]
    trim = [*NO_SILENCE_AT_START, "reverse", *NO_SILENCE_AT_START, "reverse"]
    # -D: without dither the same sentence gives the same bytes.
    subprocess.run(["sox", "-D", *source, *target, *trim, "norm", "-3"], input=spoken, check=True)


def write_example(clip: Path, speaker: str) -> None:
    """Write the call with `clip` and its expected answer, in the form that `examples/` has."""
    wav = base64.urlsafe_b64encode(clip.read_bytes()).decode()
    example = {
        "activity": "identify_speaker",
        "input": {"wav": wav},
        "output": {"speaker": speaker, "confidence": 0.99},
        "tolerance": 0.05,
    }
    EXAMPLE.parent.mkdir(parents=True, exist_ok=True)
    EXAMPLE.write_text(json.dumps(example, indent=2) + "\n")


def write_template_clips() -> None:
    """Write the enrolled clips, the held-out ones and the example."""
    for speaker, voice in VOICES.items():
        speak(ENROLMENT, voice, ENROLLED / f"{speaker}.wav")
        for name, text in TESTS.items():
            speak(text, voice, HELD_OUT / f"{speaker}-{name}.wav")
    write_example(HELD_OUT / "alice-volume.wav", "alice")


def write_more_clips(folder: Path) -> None:
    """Write a clip of each speaker for each sentence that is neither enrolled nor among the tests."""
    for speaker, voice in VOICES.items():
        for number, text in enumerate(MORE):
            speak(text, voice, folder / f"{speaker}-{number:02d}.wav")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            write_template_clips()
        case ["--more", folder]:
            write_more_clips(Path(folder))
        case _:
            sys.exit(__doc__)
