"""SenseVoice through sherpa-onnx: another engine behind the same protocol, and a pattern for further ones.

sherpa-onnx is an extra (``pip install sherpa-onnx``), and its model is a folder that its project publishes, with
``model.onnx`` or ``model.int8.onnx`` and ``tokens.txt``. The tests use a fake of the library; no real model was
measured. What differs from Whisper: one pass without a beam, so it is fast; tokens have a start but no end, so a word
is taken to last until the next one begins, half a second at most; there are no probabilities, so ``confidence`` is a
fixed figure; it takes no hot words; and it tells music, laughter and noise from speech itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asr.transcriber import Lang, ModelError, TimedWord, Transcription, Utterance
from audio.g711 import Floats

CONFIDENCE = 0.8
"""What is said of anything heard, in place of a probability."""
_MODELS = ("model.int8.onnx", "model.onnx")
_LONGEST_TOKEN_S = 0.5
_NO_SPEECH = ("BGM", "Applause", "Laughter", "Cough", "Sneeze", "Breath", "Cry")


class SherpaSenseVoice:
    """A ``BatchTranscriber`` over ``sherpa_onnx.OfflineRecognizer``, one recogniser a language."""

    def __init__(self, recognizers: dict[Lang | None, Any]) -> None:
        """Use ``load``. ``recognizers``: one for each language, and one (None) that finds it."""
        self._recognizers = recognizers

    @classmethod
    def load(cls, folder: Path, *, cpu_threads: int = 1) -> SherpaSenseVoice:
        """The model in ``folder``. Raises ``ModelError`` where a file or the library is missing, or it cannot load."""
        model = next((folder / name for name in _MODELS if (folder / name).is_file()), None)
        if model is None:
            raise ModelError(f"{folder}: neither {' nor '.join(_MODELS)} is there; give SenseVoice's folder")
        if not (folder / "tokens.txt").is_file():
            raise ModelError(f"{folder}: tokens.txt is missing; fetch the model again")
        try:
            sherpa_onnx: Any = importlib.import_module("sherpa_onnx")
        except ImportError as e:
            raise ModelError("SenseVoice needs sherpa-onnx: pip install sherpa-onnx") from e
        languages: tuple[Lang | None, ...] = ("zh", "en", None)
        try:
            return cls(
                {
                    lang: sherpa_onnx.OfflineRecognizer.from_sense_voice(
                        model=str(model), tokens=str(folder / "tokens.txt"), num_threads=cpu_threads,
                        language=lang or "auto", use_itn=False,
                    )
                    for lang in languages
                }
            )  # fmt: skip
        except (RuntimeError, ValueError, AssertionError, OSError) as e:
            reason = " ".join(str(e).split())[:200] or type(e).__name__
            raise ModelError(f"{folder}: not a usable SenseVoice ({reason}); fetch it again") from e

    def transcribe(
        self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None
    ) -> Transcription:
        """See ``Transcriber.transcribe``. ``hotwords`` are not used: the model takes none."""
        return self.transcribe_all([Utterance(samples, rate, lang, hotwords)])[0]

    def transcribe_all(self, utterances: Sequence[Utterance], *, batch_size: int = 16) -> list[Transcription]:
        """See ``BatchTranscriber.transcribe_all``."""
        for u in utterances:
            if u.samples.ndim != 1:
                raise ValueError(f"audio must be mono, one dimension, not {u.samples.ndim}")
            if u.rate <= 0:
                raise ValueError(f"sample rate must be positive, not {u.rate}")
        out: list[Transcription | None] = [None] * len(utterances)
        for lang in {u.lang for u in utterances}:
            own = [i for i, u in enumerate(utterances) if u.lang == lang]
            for start in range(0, len(own), batch_size):
                batch = own[start : start + batch_size]
                found = self._decode([utterances[i] for i in batch], lang)
                for i, transcription in zip(batch, found, strict=True):
                    out[i] = transcription
        return [t for t in out if t is not None]

    def shape(self, utterance: Utterance) -> Hashable:
        """See ``BatchTranscriber.shape``: the library pads by itself, so any go together that share a language."""
        return utterance.lang

    def _decode(self, utterances: Sequence[Utterance], lang: Lang | None) -> list[Transcription]:
        recognizer = self._recognizers[lang]
        streams = []
        for u in utterances:
            stream = recognizer.create_stream()
            stream.accept_waveform(u.rate, np.nan_to_num(u.samples.astype(np.float32, copy=False)))
            streams.append(stream)
        recognizer.decode_streams(streams)
        return [
            _transcription(stream.result, lang, len(u.samples) / u.rate)
            for stream, u in zip(streams, utterances, strict=True)
        ]


def _transcription(result: Any, lang: Lang | None, seconds: float) -> Transcription:
    heard: Lang = lang or ("en" if "en" in str(getattr(result, "lang", "")) else "zh")
    text = str(result.text).strip()
    event = str(getattr(result, "event", ""))
    if not text or any(name in event for name in _NO_SPEECH):
        return Transcription("", heard, (), 0.0, 1.0)
    words = _words([str(t) for t in result.tokens], [float(t) for t in result.timestamps], seconds, heard)
    return Transcription(text, heard, words, CONFIDENCE, 0.0)


def _words(tokens: Sequence[str], times: Sequence[float], seconds: float, lang: Lang) -> tuple[TimedWord, ...]:
    """Tokens joined into words: in English one begins with a space (or ``▁``), in Mandarin each is a character."""
    words: list[TimedWord] = []
    for i, (token, start) in enumerate(zip(tokens, times, strict=False)):
        end = min(times[i + 1] if i + 1 < len(times) else seconds, start + _LONGEST_TOKEN_S)
        text = token.replace("▁", " ")
        begins = lang == "zh" or text.startswith(" ") or not words
        text = text.strip()
        if not text:
            continue
        if begins:
            words.append(TimedWord(text, round(start, 2), round(max(start, end), 2), CONFIDENCE))
        else:
            last = words[-1]
            words[-1] = TimedWord(last.text + text, last.start, round(max(start, end), 2), CONFIDENCE)
    return tuple(words)
