"""Speech from the embedded synthesiser: libespeak-ng through ctypes, library and data from ``espeakng-loader``.

libespeak-ng keeps global state, so one lock serialises a process's synthesis; a process that needs more
throughput starts more processes. It speaks about a hundred times faster than real time.
API: espeak-ng ``speak_lib.h``, API version 12.
"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass

import numpy as np

from audio.g711 import Pcm16

_SYNCHRONOUS = 0x02  # AUDIO_OUTPUT_SYNCHRONOUS
_UTF8 = 1
_SSML = 0x10
_RATE, _VOLUME, _PITCH, _RANGE, _WORDGAP = 1, 2, 3, 4, 7
_POS_CHARACTER = 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class SynthesisError(RuntimeError):
    """The synthesiser could not be loaded, has no such voice, or refused the text."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker. ``name`` is an espeak-ng voice with optional variant (``cmn``, ``en-us``, ``cmn+f2``).

    ``rate`` in words a minute (80–450), ``pitch`` and ``pitch_range`` 0–100, ``word_gap`` in units of 10 ms.
    """

    name: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50
    volume: int = 90
    word_gap: int = 0


class _Engine:
    def __init__(self) -> None:
        import espeakng_loader

        try:
            self.lib = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as e:  # pragma: no cover - a broken wheel
            raise SynthesisError(f"cannot load libespeak-ng: {e}") from e
        self.rate = int(self.lib.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0x8000))
        if self.rate <= 0:
            raise SynthesisError("libespeak-ng found no voice data")
        self.chunks: list[bytes] = []
        self.callback = _CALLBACK(self._collect)  # kept alive: C holds only the pointer
        self.lib.espeak_SetSynthCallback(self.callback)
        self.voice = ""

    def _collect(self, wave: ctypes._Pointer[ctypes.c_short], count: int, _events: object) -> int:
        if count > 0 and wave:
            self.chunks.append(ctypes.string_at(wave, count * 2))
        return 0

    def speak(self, text: str, voice: Voice, ssml: bool) -> bytes:
        if voice.name != self.voice:
            if self.lib.espeak_SetVoiceByName(voice.name.encode()) != 0:
                raise SynthesisError(f"espeak-ng has no voice {voice.name!r}")
            self.voice = voice.name
        for parameter, value in (
            (_RATE, voice.rate),
            (_VOLUME, voice.volume),
            (_PITCH, voice.pitch),
            (_RANGE, voice.pitch_range),
            (_WORDGAP, voice.word_gap),
        ):
            self.lib.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self.chunks = []
        flags = _UTF8 | (_SSML if ssml else 0)
        status = self.lib.espeak_Synth(data, len(data) + 1, 0, _POS_CHARACTER, 0, flags, None, None)
        if status != 0:
            raise SynthesisError(f"espeak-ng refused the text (status {status})")
        return b"".join(self.chunks)


_lock = threading.Lock()
_engine: _Engine | None = None


def synthesize(text: str, voice: Voice, *, ssml: bool = False) -> tuple[Pcm16, int]:
    """Speak ``text``. Returns 16-bit mono PCM and its sample rate in Hz (22050 for the stock voices).

    Raises ``SynthesisError`` for an unknown voice. Text without anything to say gives an empty array.
    """
    global _engine
    with _lock:
        if _engine is None:
            _engine = _Engine()
        data = _engine.speak(text.replace("\x00", " "), voice, ssml)
        return np.frombuffer(data, dtype=np.int16), _engine.rate
