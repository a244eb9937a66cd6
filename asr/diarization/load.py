"""One string chooses who tells the speakers apart."""

from __future__ import annotations

from asr.diarization.turns import Diarizer

NONE = "none"


def load_diarizer(pipeline: str | None = None) -> Diarizer | None:
    """The diarizer that ``pipeline`` names: None for the built-in one, ``none`` for no diarizer at all, anything
    else a pyannote pipeline by folder or by its name at the hub. Raises ``ModelError``.
    """
    if pipeline is None:
        from asr.diarization.voices import VoiceClustering

        return VoiceClustering()
    if pipeline == NONE:
        return None
    from asr.diarization.pyannote import PyannoteDiarizer

    return PyannoteDiarizer.load(pipeline)
