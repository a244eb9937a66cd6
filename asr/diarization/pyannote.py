"""Any pyannote pipeline as a diarizer, by folder or by its name at the hub. Telemetry is off.

pyannote.audio takes ten seconds to import, so this happens when a recording needs it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr.audiofile import Recording
from asr.diarization.turns import SpeakerTurn, renumbered
from asr.transcriber import ModelError
from audio.broken_torchaudio import without_torchaudio_library
from audio.telephone import resample

RATE = 16000


class PyannoteDiarizer:
    """A ``Diarizer`` over a pyannote pipeline; two speakers unless told otherwise."""

    def __init__(self, pipeline: Any, *, speakers: int = 2) -> None:
        """Use ``load``."""
        self._pipeline = pipeline
        self._speakers = speakers

    @classmethod
    def load(cls, name: str, *, speakers: int = 2) -> PyannoteDiarizer:
        """The pipeline in the folder ``name``, or the hub's of that name (its token from ``HF_TOKEN``).

        Raises ``ModelError``: no such folder, not a pipeline, the hub out of reach, or a model that needs a token.
        """
        folder = Path(name).expanduser()
        is_folder = folder.is_dir()
        if not is_folder and name.startswith((".", "/", "~")):
            raise ModelError(f"{name}: no such folder; give a pyannote pipeline's folder or its name at the hub")
        if is_folder and not (folder / "config.yaml").is_file():
            raise ModelError(f"{name}: config.yaml is missing; not a pyannote pipeline")
        loader = _pipeline_class()
        try:
            with _quiet():
                pipeline = loader.from_pretrained(folder if is_folder else name)
        except Exception as e:  # the hub, YAML, torch and pyannote each have errors of their own
            reason = " ".join(str(e).split())[:200] or type(e).__name__
            hint = "fetch it again" if is_folder else "check the name, the network and HF_TOKEN, or give a folder"
            raise ModelError(f"no pyannote pipeline {name!r} could be loaded ({reason}); {hint}") from e
        if pipeline is None:  # what pyannote answers where the hub wants its terms accepted
            raise ModelError(f"the hub does not give {name!r} without a token: accept its terms and set HF_TOKEN")
        return cls(pipeline, speakers=speakers)

    def diarize(self, recording: Recording, speech: Sequence[tuple[float, float]]) -> list[SpeakerTurn]:
        """See ``Diarizer.diarize``. The pipeline finds speech by itself: ``speech`` only tells whether to ask it."""
        if not speech:
            return []
        import torch

        sound = resample(recording.read(None, 0.0, recording.seconds), recording.rate, RATE)
        waveform = torch.from_numpy(np.ascontiguousarray(sound)[None])
        try:
            with _quiet():
                found = self._pipeline({"waveform": waveform, "sample_rate": RATE}, num_speakers=self._speakers)
        except Exception as e:
            raise ModelError(f"the pyannote pipeline failed ({' '.join(str(e).split())[:200]})") from e
        exclusive = getattr(found, "exclusive_speaker_diarization", None)  # pipelines before 4.0 give the turns alone
        annotation = exclusive if exclusive is not None else getattr(found, "speaker_diarization", found)
        names: dict[str, int] = {}
        turns = [
            SpeakerTurn(float(span.start), float(span.end), names.setdefault(str(label), len(names)))
            for span, _, label in annotation.itertracks(yield_label=True)
        ]
        return renumbered(turns)


def _pipeline_class() -> Any:
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    try:
        without_torchaudio_library()
        with _quiet():
            from pyannote.audio import Pipeline
    except (ImportError, OSError) as e:
        raise ModelError(f"pyannote.audio cannot be used ({' '.join(str(e).split())[:200]})") from e
    return Pipeline


def _quiet() -> warnings.catch_warnings[None]:
    """pyannote warns of a decoder of files, which is not used, and of its own dependencies' age."""
    return warnings.catch_warnings(action="ignore")
