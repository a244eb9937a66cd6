"""One string chooses the recogniser of a process."""

from __future__ import annotations

from pathlib import Path

from asr.transcriber import BatchTranscriber, ModelError
from asr.whisper import FasterWhisper

ENGINES = ("whisper", "sensevoice")


def load_transcriber(
    model: str | Path | None = None, *, cpu_threads: int = 1, num_workers: int = 2
) -> BatchTranscriber:
    """The recogniser that ``model`` names.

    None: the embedded Whisper. A size (``small``, ``large-v3-turbo``), an ``organisation/name`` of the hub, or a
    folder: that Whisper. ``sensevoice:FOLDER``: SenseVoice through sherpa-onnx, which must be installed.
    Raises ``ModelError``.
    """
    engine, _, rest = str(model or "").partition(":")
    if engine == "sensevoice":
        from asr.engines.sherpa import SherpaSenseVoice

        return SherpaSenseVoice.load(Path(rest), cpu_threads=cpu_threads)
    if engine == "whisper" and rest:
        model = rest
    elif rest and "/" not in engine and "\\" not in engine and len(engine) > 1:
        raise ModelError(f"no engine {engine!r}; there are: {', '.join(ENGINES)}, or a folder or name without a colon")
    return FasterWhisper.load(model, cpu_threads=cpu_threads, num_workers=num_workers)
