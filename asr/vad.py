"""Where somebody speaks in a recording: Silero's detector (as faster-whisper ships it) and a segmenter with hysteresis.

Sound is looked at minute by minute, so that hours of it need no more memory, and every core can help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio.g711 import Floats
from audio.telephone import resample

RATE = 16000
HOP = 512
"""Samples at 16 kHz for which the detector gives one probability: 32 ms."""
_CONTEXT = 64
_BLOCK_S = 60.0  # a whole number of windows
_LEAD = 64
_RUN = 512  # windows in one run of the network: their intermediate results fit a core's cache
_MODEL = "silero_vad_v6.onnx"


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """When sound counts as speech. Thresholds are probabilities, times seconds.

    Speech begins at ``threshold`` and goes on above ``release``; pauses shorter than ``silence`` do not end it;
    less than ``speech`` of it is a click. Defaults follow Silero's own.
    """

    threshold: float = 0.5
    release: float = 0.35
    silence: float = 0.5
    speech: float = 0.16


def probabilities(
    read: Callable[[float, float], Floats], seconds: float, rate: int, workers: int = 1
) -> NDArray[np.float32]:
    """Speech probability of every 32 ms of a sound that ``read(start, end)`` gives at ``rate`` Hz.

    Minutes are looked at by themselves, ``workers`` at a time, each with two seconds of what was before it: the
    detector remembers no longer.
    """
    session = _session()
    lead = _LEAD * HOP / RATE

    def minute(start: float) -> NDArray[np.float32]:
        first = start - lead if start else 0.0
        end = min(seconds, start + _BLOCK_S)
        windows = -(-round((end - first) * RATE) // HOP)
        block = resample(read(first, end), rate, RATE)[: windows * HOP]
        found = _detect(session, np.pad(block, (0, windows * HOP - len(block))))
        return found[_LEAD:] if start else found

    starts = [float(start) for start in np.arange(0.0, seconds, _BLOCK_S)]
    if workers == 1 or len(starts) < 2:
        out = [minute(start) for start in starts]
    else:
        with ThreadPoolExecutor(workers, thread_name_prefix="vad") as pool:
            out = list(pool.map(minute, starts))
    return np.concatenate(out) if out else np.zeros(0, np.float32)


def _detect(session: Any, samples: Floats) -> NDArray[np.float32]:
    """Probabilities of windows of ``HOP`` samples at 16 kHz, each seen with the end of the one before it."""
    windows = samples.reshape(-1, HOP)
    if not len(windows):
        return np.zeros(0, np.float32)
    before = np.concatenate([np.zeros((1, _CONTEXT), np.float32), windows[:-1, -_CONTEXT:]])
    inputs = np.concatenate([before, windows], axis=1)
    hidden = cell = np.zeros((1, 1, 128), np.float32)
    out = []
    for start in range(0, len(inputs), _RUN):
        found, hidden, cell = session.run(None, {"input": inputs[start : start + _RUN], "h": hidden, "c": cell})
        out.append(np.asarray(found, np.float32).reshape(-1))
    return np.concatenate(out)


@cache
def _session() -> Any:
    """The detector's network. faster-whisper's own session gives its memory back after each run: 1.5 times as slow."""
    import onnxruntime
    from faster_whisper.utils import get_assets_path

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.log_severity_level = 4
    model = str(Path(get_assets_path()) / _MODEL)
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"], sess_options=options)


def segments(
    chances: NDArray[np.float32], seconds: float, options: SpeechOptions | None = None
) -> list[tuple[float, float]]:
    """Stretches of speech in seconds, in order, without overlap, from the detector's ``probabilities``."""
    o = options or SpeechOptions()
    hop = HOP / RATE
    found = [
        (a * hop, min(b * hop, seconds)) for a, b in _runs(chances, o.threshold, o.release, round(o.silence / hop))
    ]
    return [(a, b) for a, b in found if b - a >= o.speech]


def _runs(chances: NDArray[np.float32], threshold: float, release: float, silence: int) -> Iterator[tuple[int, int]]:
    start: int | None = None
    last = 0
    for i, p in enumerate(chances):
        if start is None:
            if p >= threshold:
                start, last = i, i
        elif p >= release:
            last = i
        elif i - last >= silence:
            yield start, last + 1
            start = None
    if start is not None:
        yield start, last + 1
