"""The embedded intent and emotion model at run time: a small transformer, a linear layer over n-grams, and for English
a borrowed sentence encoder, together.

A model is a folder: ``encoder.npz`` (``sentiment.encoder``), ``linear.npz`` (below), ``calibration.json`` and, where
the calibration speaks of it, ``english.npz`` (``sentiment.english``). Their log-probabilities are mixed and tempered;
whether a further intent is there as well is a logistic function of the transformer's own sigmoid and the mixture. All
of it is numpy.

``linear.npz``: ``weight`` int8 (features, intents + emotions), ``scale`` and ``bias`` float32 (columns), ``labels``,
``buckets``. Rows are kept only for buckets that carry weight: ``row`` int32 (ascending).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.encoder import Encoder, Logits
from sentiment.english import English
from sentiment.errors import ModelError
from sentiment.features import BUCKETS, features
from sentiment.labels import EMOTIONS, INTENTS

DEFAULT_MODEL = Path(__file__).parent / "models"
PARTS = ("encoder.npz", "linear.npz", "english.npz", "calibration.json")
Array = NDArray[np.float32]
_NEUTRAL = list(EMOTIONS).index("neutral")
Request = tuple[str, str, str | None]
"""Text, language, and what the agent had asked for."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Calibrated probabilities: ``intents`` (which one leads) and ``emotions`` sum to one; ``present`` do not: each
    says whether that intent is among what the utterance wants."""

    intents: dict[str, float]
    emotions: dict[str, float]
    present: dict[str, float]


def log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max()
    out: Array = (shifted - np.log(np.exp(shifted).sum())).astype(np.float32)
    return out


@dataclass(frozen=True, slots=True)
class Calibration:
    """How raw scores become probabilities; everything here was set on families that no weight was trained on.

    ``share``: the transformer's say in the mixture, the linear layer has the rest (intents, emotions).
    ``temperature``: of the mixed log-probabilities (intents, emotions). ``present``: logistic weights of the
    transformer's own sigmoid logit and of the mixture's log-probability, and the constant. ``sure``: below it the main
    intent is ``other``. ``plain``: added to the log-probability of ``neutral``: a model that has seen mostly plain
    sentences overlooks quiet feelings. ``further``: above it a further intent counts; ``safety``: the lower bar for
    safety intents, a language each.

    ``english``: the same for English where there is a sentence encoder for it, which then stands for the transformer
    while the mixture above stands for the linear layer.
    """

    share: tuple[float, float]
    temperature: tuple[float, float]
    present: tuple[float, float, float]
    sure: float
    further: float
    safety: Mapping[str, float]
    plain: float = 0.0
    english: Calibration | None = None

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Raises ``ModelError`` if the file is missing or damaged."""
        try:
            return cls._read(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as e:
            raise ModelError(f"the understanding model's {path} is damaged: {' '.join(str(e).split())}") from e

    @classmethod
    def _read(cls, data: Any, langs: Sequence[str] = ("zh", "en")) -> Calibration:
        english = data.get("english")
        return cls(
            (float(data["share"][0]), float(data["share"][1])),
            (float(data["temperature"][0]), float(data["temperature"][1])),
            (float(data["present"][0]), float(data["present"][1]), float(data["present"][2])),
            float(data["sure"]),
            float(data["further"]),
            {lang: float(data["safety"][lang]) for lang in langs},
            float(data.get("plain", 0.0)),
            None if english is None else cls._read(english, ("en",)),
        )

    def of(self, lang: str) -> Calibration:
        """What holds for a language."""
        return self.english if lang == "en" and self.english is not None else self

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class LinearModel:
    """See the module's text. Reading is a pure function of text, language and what had been asked."""

    row: NDArray[np.int32]
    weight: NDArray[np.int8]
    scale: Array
    bias: Array

    @classmethod
    def load(cls, path: Path) -> LinearModel:
        """Read a model file. Raises ``ModelError`` if it is missing, damaged or has other labels."""
        if not path.is_file():
            raise ModelError(f"no understanding model at {path}: train one with `python -m sentiment.training`")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
            labels = [str(label) for label in arrays["labels"]]
            model = cls(*(arrays[k] for k in ("row", "weight", "scale", "bias")))
            buckets = int(arrays["buckets"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
            raise ModelError(f"the understanding model {path} is damaged: {' '.join(str(e).split())}") from e
        if labels != [*INTENTS, *EMOTIONS] or buckets != BUCKETS:
            raise ModelError(f"the understanding model {path} was made for another label set or feature space")
        columns = len(labels)
        if model.weight.shape != (len(model.row), columns) or model.scale.shape != (columns,):
            raise ModelError(f"the understanding model {path} is damaged: its arrays do not fit together")
        return model

    def logits(self, text: str, lang: str, expects: str | None = None) -> Array:
        """Raw scores, shape ``(intents + emotions,)``: weights summed over the features, over √n."""
        found = features(text, lang, expects)
        at = np.searchsorted(self.row, found)
        at = at[(at < len(self.row)) & (self.row[np.minimum(at, len(self.row) - 1)] == found)]
        total = self.weight[at].astype(np.float32).sum(axis=0) * self.scale
        out: Array = (total / np.sqrt(max(len(found), 1)) + self.bias).astype(np.float32)
        return out


@dataclass(frozen=True, slots=True)
class IntentModel:
    """The ensemble. Holds no state: safe to share between threads."""

    encoder: Encoder
    linear: LinearModel
    calibration: Calibration
    english: English | None = None

    @classmethod
    def load(cls, folder: Path = DEFAULT_MODEL, *, english: Path | None = None) -> IntentModel:
        """Read a model folder; ``english``: its English part, if that lies elsewhere.

        Raises ``ModelError`` if a part is missing, damaged or has other labels.
        """
        encoder, linear = Encoder.load(folder / "encoder.npz"), LinearModel.load(folder / "linear.npz")
        calibration = Calibration.load(folder / "calibration.json")
        return cls(
            encoder,
            linear,
            calibration,
            None if calibration.english is None else English.load(english or folder / "english.npz"),
        )

    def scores(self, text: str, lang: str, expects: str | None = None) -> Scores:
        """Calibrated probabilities of one utterance."""
        return self.batch([(text, lang, expects)])[0]

    def batch(self, requests: Sequence[Request]) -> list[Scores]:
        """Calibrated probabilities of several utterances, in order; each part reads them together."""
        if not requests:
            return []
        read = self.encoder.logits([self.encoder.tokenizer.encode(*request) for request in requests])
        ours = [self._ours(one, self.linear.logits(*r)) for one, r in zip(read, requests, strict=True)]
        calibrations = [self.calibration] * len(requests)
        if self.english is not None and self.calibration.english is not None:
            at = [i for i, (_, lang, _) in enumerate(requests) if lang == "en"]
            if at:
                likened = self.english.logits([requests[i][0] for i in at], [requests[i][2] for i in at])
                for i, one in zip(at, likened, strict=True):
                    ours[i] = together(one, ours[i].main, ours[i].emotion, self.calibration.english)
                    calibrations[i] = self.calibration.english
        return [_calibrated(one, c) for one, c in zip(ours, calibrations, strict=True)]

    def _ours(self, one: Logits, linear: Array) -> Logits:
        n = len(INTENTS)
        return together(one, linear[:n], linear[n:], self.calibration)


def together(one: Logits, main: Array, emotion: Array, c: Calibration) -> Logits:
    """A model's scores mixed with another's; ``present`` stays the first one's own."""
    return Logits(mixed(one.main, main, c.share[0]), one.present, mixed(one.emotion, emotion, c.share[1]))


def _calibrated(one: Logits, c: Calibration) -> Scores:
    intents = np.exp(log_softmax(one.main / np.float32(c.temperature[0])))
    emotion = one.emotion / np.float32(c.temperature[1])
    emotion[_NEUTRAL] += c.plain
    emotions = np.exp(log_softmax(emotion))
    own, mixture, constant = c.present
    present = 1 / (1 + np.exp(-np.clip(own * one.present + mixture * one.main + constant, -30, 30)))
    return Scores(
        dict(zip(INTENTS, intents.tolist(), strict=True)),
        dict(zip(EMOTIONS, emotions.tolist(), strict=True)),
        dict(zip(INTENTS, present.tolist(), strict=True)),
    )


def mixed(first: Array, second: Array, share: float) -> Array:
    """Log-probabilities of two models together: their weighted geometric mean, not yet normalised."""
    out: Array = (share * log_softmax(first) + (1 - share) * log_softmax(second)).astype(np.float32)
    return out
