"""The ``Speaker`` protocol, and the embedded voice.

A speaker renders what the gate approved and nothing else: anything that is not a sealed ``ApprovedLine`` raises
``UnapprovedSpeech`` before a sample is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agent.errors import SpeechError, UnapprovedSpeech
from agent.events import Lang
from audio import espeak
from audio.g711 import Pcm16, to_float, to_pcm16
from audio.telephone import RATE, band_limit, resample, set_level
from compliance_checks.approved import ApprovedLine, is_approved

VOICES: dict[Lang, str] = {"zh": "cmn", "en": "en-us"}
MAX_PAUSE = 0.38
"""Seconds: the longest silence inside a line."""
LEVEL_DB = -19.0
"""Active speech level towards the line, dBFS: the middle of what ITU-T P.56 users measure on networks."""


@dataclass(frozen=True, slots=True)
class VoiceStyle:
    """How the agent sounds, the same in both languages. ``rate`` in words a minute, ``pitch`` 0–100."""

    variant: str = "f2"
    rate: int = 172
    pitch: int = 48
    pitch_range: int = 45


class Speaker(Protocol):
    """Any voice. Blocking: callers run it in a thread."""

    @property
    def name(self) -> str:
        """Engine and voice, part of the prompt cache's key."""

    def render(self, line: ApprovedLine, style: VoiceStyle) -> Pcm16:
        """8 kHz mono 16-bit PCM of the line. Raises ``UnapprovedSpeech`` or ``SpeechError``."""


def require_approved(line: object) -> ApprovedLine:
    """The line itself if the gate sealed it; raises ``UnapprovedSpeech`` for anything else."""
    if not is_approved(line):
        raise UnapprovedSpeech(f"speech accepts only lines approved by the gate, not {type(line).__name__}")
    assert isinstance(line, ApprovedLine)
    return line


class EspeakSpeaker:
    """espeak-ng from the wheel ``espeakng-loader``: no download, no network, both languages."""

    @property
    def name(self) -> str:
        return "espeak-ng"

    def render(self, line: ApprovedLine, style: VoiceStyle) -> Pcm16:
        line = require_approved(line)
        voice = espeak.Voice(f"{VOICES[line.lang]}+{style.variant}", style.rate, style.pitch, style.pitch_range)
        try:
            pcm, rate = espeak.synthesize(line.text, voice)
        except espeak.SynthesisError as e:
            raise SpeechError(str(e)) from e
        if len(pcm) == 0:
            raise SpeechError(f"the voice made no sound of line {line.line_id!r}")
        telephone = set_level(band_limit(resample(to_float(pcm), rate, RATE), 200.0, 3600.0), LEVEL_DB)
        return shorten_pauses(trim(to_pcm16(telephone)))


def shorten_pauses(pcm: Pcm16, longest: float = MAX_PAUSE, threshold: int = 120) -> Pcm16:
    """Cut silences inside a line to ``longest`` seconds: a longer one sounds like the end of the agent's turn."""
    step = RATE // 100
    whole = len(pcm) // step * step
    quiet = np.abs(pcm[:whole].reshape(-1, step).astype(np.int32)).max(axis=1, initial=0) <= threshold
    keep = np.ones(len(quiet), bool)
    run = 0
    for i, silent in enumerate(quiet):
        run = run + 1 if silent else 0
        keep[i] = run <= longest * 100
    return np.concatenate([pcm[:whole].reshape(-1, step)[keep].reshape(-1), pcm[whole:]])


def trim(pcm: Pcm16, threshold: int = 120) -> Pcm16:
    """Cut silence before the first and 0.1 s after the last sample louder than ``threshold``.

    The synthesiser pads its output; a padded reply answers late.
    """
    loud = abs(pcm.astype(int)) > threshold
    if not loud.any():
        return pcm
    first = int(loud.argmax())
    last = len(pcm) - int(loud[::-1].argmax())
    return pcm[first : last + RATE // 10]
