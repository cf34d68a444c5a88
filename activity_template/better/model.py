"""Tells speakers apart by the average spectrum of their speech and by the pitch of their voice."""

import io
import wave
from collections.abc import Mapping
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE = 8000  # Hz
FRAME = 256  # samples, 32 ms
HOP = 80  # samples, 10 ms
BANDS = 24
LOWEST, HIGHEST = 60.0, 3900.0  # Hz
SILENCE = 1e-7  # mean power; full scale is 1
PAUSE = 0.03  # share of the loudest frame's power
PITCH_FRAME = 400  # samples, 50 ms: three periods of the deepest voice
DEEPEST, BRIGHTEST = 65.0, 350.0  # Hz
VOICED = 0.45  # share of the power that one period later is the same
PITCH_STEPS = 30
PITCH_BLUR = 0.08  # octaves; the melody of a sentence moves a speaker's pitch by about this much
SHARPNESS = 40.0  # how fast belief falls with similarity


class UnusableAudio(ValueError):
    """The clip is not what `AudioClip.wav` asks for, or nothing is heard in it."""


def identify(wav: bytes) -> dict[str, float]:
    """How far the clip is believed to be of each enrolled speaker; adds up to 1.

    Raises:
        UnusableAudio: it cannot be read, or holds no speech.
    """
    heard, enrolled = voiceprint(read(wav)), load()
    similarity = np.array([heard @ known for known in enrolled.values()])
    belief = np.exp(SHARPNESS * (similarity - similarity.max()))
    return dict(zip(enrolled, (belief / belief.sum()).tolist(), strict=True))


@cache
def load() -> Mapping[str, Array]:
    """The voiceprints of the enrolled speakers, one clip each."""
    clips = (resources.files(__package__) / "enrolled").iterdir()
    return {
        clip.name.removesuffix(".wav"): voiceprint(read(clip.read_bytes()))
        for clip in sorted(clips, key=lambda clip: clip.name)
        if clip.name.endswith(".wav")
    }


def read(wav: bytes) -> Array:
    """The samples of a WAV file, from -1 to 1."""
    try:
        with wave.open(io.BytesIO(wav)) as clip:
            channels, width, rate, *_ = clip.getparams()
            data = clip.readframes(clip.getnframes())
    except (wave.Error, EOFError) as error:
        raise UnusableAudio(f"not a WAV file: {error or 'it ends too early'}") from error
    if (channels, width, rate) != (1, 2, RATE):
        got = f"{channels} channels, {8 * width} bits, {rate} Hz"
        raise UnusableAudio(f"expected 1 channel, 16 bits, {RATE} Hz, got {got}")
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2") / 32768


def voiceprint(signal: Array) -> Array:
    """A vector of length 1: the more two speakers sound alike, the larger the product of theirs."""
    return unit(np.concatenate([unit(spectrum(signal)), unit(pitch(signal))]))


def spectrum(signal: Array) -> Array:
    """The average log spectrum in mel bands; the clip's loudness is taken out."""
    frames = speech(signal, FRAME)
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2
    average = np.log(power @ mel_bands().T + 1e-8).mean(axis=0)
    return np.asarray(average - average.mean())


def pitch(signal: Array) -> Array:
    """How often each pitch is heard, blurred; nothing but zeros if no frame is voiced."""
    frames = speech(signal, PITCH_FRAME)
    frames = frames - frames.mean(axis=1, keepdims=True)
    # Padded to more than twice the frame, so that its end does not meet its beginning.
    power = np.abs(np.fft.rfft(frames, 1024, axis=1)) ** 2
    correlation = np.fft.irfft(power, axis=1)
    shortest, longest = int(RATE / BRIGHTEST), int(RATE / DEEPEST)
    period = correlation[:, shortest:longest].argmax(axis=1) + shortest
    voiced = correlation[np.arange(len(period)), period] > VOICED * correlation[:, 0]
    heard = np.log2(RATE / period[voiced])
    steps = np.linspace(np.log2(DEEPEST), np.log2(BRIGHTEST), PITCH_STEPS)
    return np.asarray(np.exp(-0.5 * ((heard[:, None] - steps) / PITCH_BLUR) ** 2).sum(axis=0))


def speech(signal: Array, size: int) -> Array:
    """The frames in which somebody speaks, one a row."""
    if len(signal) < size:
        raise UnusableAudio(f"the clip is shorter than {1000 * size // RATE} ms")
    frames = np.lib.stride_tricks.sliding_window_view(signal, size)[::HOP]
    power = (frames**2).mean(axis=1)
    if power.max() < SILENCE:
        raise UnusableAudio("the clip holds nothing but silence")
    return np.asarray(frames[power > PAUSE * power.max()])


@cache
def mel_bands() -> Array:
    """Triangular filters, one a row, spaced as the ear hears."""
    lowest, highest = (2595 * np.log10(1 + hertz / 700) for hertz in (LOWEST, HIGHEST))
    edges = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hertz = np.fft.rfftfreq(FRAME, 1 / RATE)
    rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return np.asarray(np.minimum(rising, falling).clip(min=0))


def unit(vector: Array) -> Array:
    """The vector with length 1."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))
