"""smart-turn: hears in the voice whether somebody has finished (the model that pipecat bundles, v3.2, 8 s of audio).

One model a process. It costs 0.1 to 0.2 s of one core a pause, so it is asked only where the words leave it open, and
never twice at a time: with more calls than it can serve it says that it does not know.
"""

from __future__ import annotations

import threading
from functools import lru_cache

import numpy as np
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3

from audio.g711 import Floats
from audio.telephone import resample

_RATE = 16000
_WINDOW = 8.0


class SmartTurn(LocalSmartTurnAnalyzerV3):
    """A ``TurnModel``. Loads on first use; thread-safe."""

    def __init__(self) -> None:
        super().__init__(sample_rate=_RATE)
        self._busy = threading.Lock()

    def finished(self, samples: Floats, rate: int) -> float | None:
        """See ``TurnModel.finished``."""
        if not self._busy.acquire(blocking=False):
            return None
        try:
            last = samples[-int(_WINDOW * rate) :].astype(np.float32, copy=False)
            return float(self._predict_endpoint(resample(last, rate, _RATE))["probability"])
        finally:
            self._busy.release()


@lru_cache(maxsize=1)
def shared() -> SmartTurn:
    """The process's model. Blocking the first time: a tenth of a second."""
    return SmartTurn()
