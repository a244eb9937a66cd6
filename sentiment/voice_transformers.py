# ruff: noqa: E501 - tables, one entry a line
"""Any transformers audio classifier, by name or folder, as a voice reader: its labels are mapped to ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio.broken_torchaudio import without_torchaudio_library
from audio.telephone import resample
from sentiment.errors import ModelError
from sentiment.labels import EMOTIONS
from sentiment.voice import VoiceBaseline, VoiceReading

LABEL_MAP = {
    "neutral": "neutral", "neu": "neutral", "calm": "neutral", "boredom": "neutral", "surprise": "neutral",
    "surprised": "neutral", "happy": "positive", "hap": "positive", "happiness": "positive", "joy": "positive",
    "positive": "positive", "angry": "angry", "ang": "angry", "anger": "angry", "disgust": "frustrated",
    "disgusted": "frustrated", "frustrated": "frustrated", "contempt": "frustrated", "fear": "anxious", "fearful": "anxious",
    "fea": "anxious", "anxious": "anxious", "sad": "sad", "sadness": "sad",
}  # fmt: skip
"""What the usual label sets (IEMOCAP, RAVDESS, CREMA-D, EmoDB …) are called here."""


@dataclass(frozen=True, slots=True)
class TransformersVoice:
    """A classifier with the number of each of its classes' emotion of ours; -1 is left out."""

    extractor: Any
    model: Any
    classes: tuple[int, ...]

    @classmethod
    def load(cls, name: str, label_map: Mapping[str, str] | None = None) -> TransformersVoice:
        """``name``: a model's name or folder. ``label_map``: the model's labels to ours, over ``LABEL_MAP``.

        Imports torch and transformers. Raises ``ModelError`` if the model cannot be loaded or a label is unknown.
        """
        without_torchaudio_library()
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        try:
            extractor = AutoFeatureExtractor.from_pretrained(name)  # type: ignore[no-untyped-call]
            model = AutoModelForAudioClassification.from_pretrained(name).eval()
        except (OSError, ValueError, KeyError) as e:
            raise ModelError(f"cannot load the voice model {name}: {' '.join(str(e).split())}") from e
        ours, table = list(EMOTIONS), {**LABEL_MAP, **(label_map or {})}
        classes = []
        for i in range(model.config.num_labels):
            label = str(model.config.id2label[i])
            said = table.get(label, table.get(label.lower()))
            if said is None or said not in (*ours, ""):
                raise ModelError(f"the voice model {name} has the label {label!r}: map it to one of {', '.join(ours)}")
            classes.append(ours.index(said) if said else -1)
        return cls(extractor, model, tuple(classes))

    def emotions(
        self, samples: NDArray[np.float32], rate: int, reading: VoiceReading, baseline: VoiceBaseline | None
    ) -> Mapping[str, float]:
        """See ``VoiceClassifier``."""
        import torch

        wanted = int(self.extractor.sampling_rate)
        inputs = self.extractor(resample(samples, rate, wanted), sampling_rate=wanted, return_tensors="pt")
        with torch.inference_mode():
            p = torch.softmax(self.model(**inputs).logits[0], -1).tolist()
        out = [0.0] * len(EMOTIONS)
        for i, value in zip(self.classes, p, strict=True):
            if i >= 0:
                out[i] += value
        total = sum(out) or 1.0
        return {name: value / total for name, value in zip(EMOTIONS, out, strict=True)}
