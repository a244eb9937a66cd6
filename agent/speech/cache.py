"""The prompt cache: what a call may have to say is rendered before the phone rings.

Keyed by engine, style, language and text. Fixed lines are shared by all calls; lines with a borrower's slots
belong to that call and go with it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from agent.speech.speaker import Speaker, VoiceStyle, require_approved
from audio.g711 import Pcm16
from compliance_checks.approved import ApprovedLine

Key = tuple[str, VoiceStyle, str, str]


class PromptCache:
    """Rendered lines, at most ``limit`` seconds of audio, least recently used out first. Thread-safe."""

    def __init__(self, speaker: Speaker, limit: float = 3600.0) -> None:
        self._speaker = speaker
        self._limit = int(limit * 8000)
        self._size = 0
        self._sounds: OrderedDict[Key, Pcm16] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    @property
    def engine(self) -> str:
        """The speaker's name."""
        return self._speaker.name

    def get(self, line: ApprovedLine, style: VoiceStyle) -> Pcm16:
        """The line's sound, rendered now if it was not prepared. Blocking on a miss."""
        line = require_approved(line)
        key = (self._speaker.name, style, line.lang, line.text)
        with self._lock:
            if key in self._sounds:
                self._sounds.move_to_end(key)
                self.hits += 1
                return self._sounds[key]
        sound = self._speaker.render(line, style)
        with self._lock:
            self.misses += 1
            if key not in self._sounds:
                self._sounds[key] = sound
                self._size += len(sound)
            while self._size > self._limit and len(self._sounds) > 1:
                self._size -= len(self._sounds.popitem(last=False)[1])
        return sound

    def prepare(self, lines: Iterable[ApprovedLine], style: VoiceStyle) -> int:
        """Render ``lines`` ahead of the call. Returns how many there were."""
        count = 0
        for line in lines:
            self.get(line, style)
            count += 1
        return count
