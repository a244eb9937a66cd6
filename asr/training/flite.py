"""English by flite, an engine unlike espeak-ng: its voices were built from recordings of people.

Debian's package ``flite`` (2.2; X11-like licence, voices of CMU ARCTIC free for any use) is called as a program, and
only here: for training and for measuring. ``awb`` was never used in training.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import wave

import numpy as np

from asr.training.voices import VoiceSet
from audio.g711 import Pcm16

VOICES: dict[VoiceSet, tuple[str, ...]] = {"seen": ("slt", "rms", "kal16"), "unseen": ("awb",)}
_PITCH = {"slt": 170.0, "rms": 95.0, "kal16": 105.0, "awb": 120.0}
"""Hz about which each voice speaks."""


def say(text: str, which: VoiceSet, rng: np.random.Generator) -> tuple[Pcm16, int, str]:
    """``text`` by a random voice of ``which`` at a random pace and pitch: samples, their rate, the voice's name.

    Raises:
        RuntimeError: flite is not installed, or refused the text.
    """
    if (program := shutil.which("flite")) is None:
        raise RuntimeError("flite is not installed: apt-get install flite")
    voice = VOICES[which][rng.integers(len(VOICES[which]))]
    stretch, pitch = rng.uniform(0.8, 1.25), _PITCH[voice] * rng.uniform(0.85, 1.2)
    settings = ["--setf", f"duration_stretch={stretch:.2f}", "--setf", f"int_f0_target_mean={pitch:.0f}"]
    command = [program, "-voice", voice, *settings, "-t", text, "-o", "/dev/stdout"]
    ran = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - words of our own grammar, no shell
    if ran.returncode or len(ran.stdout) < 44:
        raise RuntimeError(f"flite said nothing ({ran.returncode})")
    with wave.open(io.BytesIO(ran.stdout)) as f:
        rate = f.getframerate()
    return np.frombuffer(ran.stdout[44:], np.int16), rate, f"flite-{voice}/{stretch:.2f}/{pitch:.0f}"
