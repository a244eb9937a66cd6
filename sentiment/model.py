"""The embedded intent and emotion model at run time: a small transformer, a linear layer over n-grams, and two borrowed
sentence encoders, one for English and one for both languages, together.

A model is a folder: ``encoder.npz`` (``sentiment.encoder``), ``linear.npz`` (below), ``calibration.json`` and, where
the calibration speaks of them, ``english.npz`` (``sentiment.english``) and ``meaning.npz`` (``sentiment.meaning``).
Their log-probabilities are mixed and tempered;
whether a further intent is there as well is a logistic function of the transformer's own sigmoid and the mixture. All
of it is numpy.

``linear.npz``: ``weight`` int8 (features, intents + emotions), ``scale`` and ``bias`` float32 (columns), ``labels``,
``buckets``. Rows are kept only for buckets that carry weight: ``row`` int32 (ascending).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.encoder import Encoder, Logits
from sentiment.english import English
from sentiment.errors import ModelError
from sentiment.features import BUCKETS, features
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.meaning import Meaning

DEFAULT_MODEL = Path(__file__).parent / "models"
PARTS = ("encoder.npz", "linear.npz", "english.npz", "meaning.npz", "calibration.json")
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


Shares = tuple[float, float]
"""One model's say beside another's: in intents, in emotions."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a language's mixed scores become probabilities.

    ``temperature``: of the mixed log-probabilities (intents, emotions). ``present``: logistic weights of the
    transformer's own sigmoid logit and of the mixture's log-probability, and the constant. ``sure``: below it the main
    intent is ``other``. ``further``: above it a further intent counts; ``safety``: the lower bar for safety intents.
    ``plain``: added to the log-probability of ``neutral``: a model that has seen mostly plain sentences overlooks
    quiet feelings.
    """

    temperature: tuple[float, float]
    present: tuple[float, float, float]
    sure: float
    further: float
    safety: float
    plain: float = 0.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """What each model has to say and how to read it; everything here was set on families that no weight was trained on.

    ``share``: the transformer's say beside the linear layer. ``english``: the English encoder's say beside both, None
    where there is none; ``meaning``: by language, that of the multilingual encoder's head beside all others.
    ``readings``: by language.
    """

    share: Shares
    readings: Mapping[str, Reading]
    english: Shares | None = None
    meaning: Mapping[str, Shares] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Raises ``ModelError`` if the file is missing or damaged."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                _pair(data["share"]),
                {lang: _reading(data["readings"][lang]) for lang in ("zh", "en")},
                None if data.get("english") is None else _pair(data["english"]),
                {lang: _pair(shares) for lang, shares in data.get("meaning", {}).items()},
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as e:
            raise ModelError(f"the understanding model's {path} is damaged: {' '.join(str(e).split())}") from e

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def _pair(data: Any) -> Shares:
    return float(data[0]), float(data[1])


def _reading(data: Any) -> Reading:
    own, mixture, constant = (float(weight) for weight in data["present"])
    return Reading(
        _pair(data["temperature"]),
        (own, mixture, constant),
        float(data["sure"]),
        float(data["further"]),
        float(data["safety"]),
        float(data["plain"]),
    )


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
    meaning: Meaning | None = None

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
            Meaning.load(folder / "meaning.npz") if calibration.meaning else None,
        )

    def scores(self, text: str, lang: str, expects: str | None = None) -> Scores:
        """Calibrated probabilities of one utterance."""
        return self.batch([(text, lang, expects)])[0]

    def batch(self, requests: Sequence[Request]) -> list[Scores]:
        """Calibrated probabilities of several utterances, in order; each part reads them together."""
        if not requests:
            return []
        c, n = self.calibration, len(INTENTS)
        read = self.encoder.logits([self.encoder.tokenizer.encode(*request) for request in requests])
        grams = [self.linear.logits(*request) for request in requests]
        mixture = [together(one, two[:n], two[n:], c.share) for one, two in zip(read, grams, strict=True)]
        if self.english is not None and c.english is not None:
            at = [i for i, (_, lang, _) in enumerate(requests) if lang == "en"]
            likened = self.english.logits([requests[i][0] for i in at], [requests[i][2] for i in at]) if at else []
            for i, one in zip(at, likened, strict=True):
                mixture[i] = together(one, mixture[i].main, mixture[i].emotion, c.english)
        if self.meaning is not None:
            meant = self.meaning.logits([text for text, _, _ in requests], [expects for _, _, expects in requests])
            for i, (_, lang, _) in enumerate(requests):
                mixture[i] = with_meaning(mixture[i], meant[i], c.meaning[lang])
        return [_calibrated(one, c.readings[lang]) for one, (_, lang, _) in zip(mixture, requests, strict=True)]


def together(one: Logits, main: Array, emotion: Array, share: Shares) -> Logits:
    """A model's scores mixed with another's; ``present`` stays the first one's own."""
    return Logits(mixed(one.main, main, share[0]), one.present, mixed(one.emotion, emotion, share[1]))


def with_meaning(one: Logits, meant: Array, share: Shares) -> Logits:
    """Scores mixed with the head's on the multilingual encoder; ``present`` stays as it was."""
    n = len(INTENTS)
    return Logits(mixed(meant[:n], one.main, share[0]), one.present, mixed(meant[n:], one.emotion, share[1]))


def _calibrated(one: Logits, c: Reading) -> Scores:
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
