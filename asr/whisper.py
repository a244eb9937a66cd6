"""Whisper through faster-whisper: the embedded model, or any other that faster-whisper can load.

What differs from its stock ``transcribe``: the encoder's context is cut to the audio's own length (Whisper always
encodes 30 seconds), long audio is cut at its quietest moments, and words are timed without a second pass over what
follows the last one. Decoding is by a small beam at temperature zero, each window by itself.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from asr.transcriber import Lang, ModelError, TimedWord, Transcription
from asr.windows import split
from audio.g711 import Floats
from audio.telephone import resample

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer

EMBEDDED = Path(__file__).parent / "models" / "whisper-telephone-zh-en"
"""The model that ships with the program."""
_FILES = ("config.json", "model.bin", "tokenizer.json", "preprocessor_config.json")
_START = "<|startoftranscript|>"
_RATE = 16000
_FADE = _RATE // 200  # 5 ms: an abrupt first sample is a click over the whole band
_SHORTEST = _RATE // 20


@dataclass(frozen=True, slots=True)
class _Heard:
    """One window's result: text token ids, their mean log-probability, and the two kinds of doubt."""

    text: str
    words: tuple[TimedWord, ...]
    log_probability: float
    tokens: int
    no_speech: float


@dataclass(frozen=True, slots=True)
class Guards:
    """When text is not believed. Values are those of Whisper's own decoder (Radford et al. 2022, section 4.5).

    Text is dropped if nobody speaks with probability over ``no_speech`` and the mean log-probability is under
    ``unsure``, if the latter is under ``garbage`` whatever else, or if the text repeats itself so that it compresses
    by more than ``compression``.
    """

    no_speech: float = 0.6
    unsure: float = -1.0
    garbage: float = -1.8
    compression: float = 2.4


class FasterWhisper:
    """A ``Transcriber``. Thread-safe: the model has no state between calls, and CTranslate2 queues for its workers."""

    def __init__(
        self,
        model: WhisperModel,
        *,
        beam_size: int = 5,
        words: bool = True,
        margin: float = 0.5,
        max_tokens: int = 448,
        takes_prompts: bool = True,
        guards: Guards | None = None,
    ) -> None:
        """Use ``load``. ``margin``: seconds of empty context encoded after the audio's end."""
        self._model = model
        self._beam_size = beam_size
        self._words = words
        self._margin = max(1, round(margin * model.frames_per_second))
        self._max_tokens = max_tokens
        self._takes_prompts = takes_prompts
        self._guards = guards or Guards()
        self._window = model.feature_extractor.nb_max_frames
        self._longest = self._window * model.feature_extractor.time_per_frame - 0.5

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        *,
        device: str = "cpu",
        compute_type: str = "default",
        cpu_threads: int = 1,
        num_workers: int = 2,
        beam_size: int = 5,
        words: bool = True,
        download_root: str | None = None,
    ) -> FasterWhisper:
        """The embedded model (None), a folder, or a name faster-whisper knows (``small``, ``large-v3``, ``org/name``).

        ``num_workers`` requests run at once, each on ``cpu_threads`` threads. Raises ``ModelError``.
        """
        source = Path(model) if isinstance(model, Path) else model
        if source is None:
            source = EMBEDDED
        is_folder = isinstance(source, Path) or Path(source).is_dir() or source.startswith((".", "/", "~"))
        if is_folder:
            source = Path(source).expanduser()
            _check_folder(source)
        from faster_whisper import WhisperModel

        try:
            loaded = WhisperModel(
                str(source), device=device, compute_type=compute_type, cpu_threads=cpu_threads,
                num_workers=num_workers, download_root=download_root,
            )  # fmt: skip
        except Exception as e:  # CTranslate2, tokenizers, hub and JSON each have errors of their own
            reason = " ".join(str(e).split())[:200] or type(e).__name__
            if is_folder:
                raise ModelError(
                    f"{source}: not a usable CTranslate2 Whisper ({reason}); fetch or convert it again"
                ) from e
            raise ModelError(
                f"no Whisper {source!r} could be loaded ({reason}); check the name and the network, or give a folder"
            ) from e
        extra = _extra(Path(source)) if is_folder else {}
        return cls(
            loaded,
            beam_size=beam_size,
            words=words,
            max_tokens=int(extra.get("max_target_positions", 448)),
            takes_prompts=bool(extra.get("takes_prompts", True)),
        )

    def transcribe(
        self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None
    ) -> Transcription:
        """See ``Transcriber.transcribe``."""
        if samples.ndim != 1:
            raise ValueError(f"audio must be mono, one dimension, not {samples.ndim}")
        if rate <= 0:
            raise ValueError(f"sample rate must be positive, not {rate}")
        audio = resample(np.nan_to_num(samples.astype(np.float32, copy=False)), rate, _RATE)
        if len(audio) < _SHORTEST or not np.any(audio):
            return Transcription("", lang or "zh", (), 0.0, 1.0)
        heard: list[_Heard] = []
        for start, end in split(audio, _RATE, self._longest):
            window, lang = self._hear(audio[start:end], lang, hotwords, start / _RATE)
            heard.append(window)
        assert lang is not None
        kept = [h for h in heard if h.text]
        tokens = sum(h.tokens for h in kept)
        mean = sum(h.log_probability * h.tokens for h in kept) / tokens if tokens else -math.inf
        return Transcription(
            text=("" if lang == "zh" else " ").join(h.text for h in kept),
            lang=lang,
            words=tuple(word for h in kept for word in h.words),
            confidence=math.exp(mean),
            no_speech=min(h.no_speech for h in heard),
        )

    def _hear(self, audio: Floats, lang: Lang | None, hotwords: str | None, offset: float) -> tuple[_Heard, Lang]:
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens

        model = self._model
        audio = audio.copy()
        audio[:_FADE] *= np.linspace(0, 1, len(audio[:_FADE]), dtype=np.float32)
        features = model.feature_extractor(audio)
        frames = features.shape[-1]
        encoded = model.encode(cut_context(features, self._margin, self._window))
        if lang is None:
            lang = self._language(encoded)
        multilingual = model.model.is_multilingual
        tokenizer = Tokenizer(model.hf_tokenizer, multilingual, task="transcribe", language=lang)
        prompt = model.get_prompt(
            tokenizer, [], without_timestamps=True, hotwords=hotwords if self._takes_prompts else None
        )
        # A second of speech never holds more than about 20 tokens: a decoder that loops is stopped early.
        room = min(self._max_tokens - len(prompt), 16 + round(20 * len(audio) / _RATE))
        result = model.model.generate(
            encoded, [prompt], beam_size=self._beam_size, max_length=len(prompt) + room, return_scores=True,
            return_no_speech_prob=True, suppress_blank=True, suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
        )[0]  # fmt: skip
        ids = [i for i in result.sequences_ids[0] if i < tokenizer.eot]
        text = tokenizer.decode(ids).strip().strip("\ufffd")
        log_probability = result.scores[0] * len(result.sequences_ids[0]) / (len(result.sequences_ids[0]) + 1)
        repeats = get_compression_ratio(text) if text else 0.0
        if not text or self._doubtful(log_probability, result.no_speech_prob, repeats):
            return _Heard("", (), log_probability, 0, result.no_speech_prob), lang
        words = self._time(tokenizer, ids, encoded, frames, offset) if self._words else ()
        return _Heard(text, words, log_probability, len(ids), result.no_speech_prob), lang

    def _doubtful(self, log_probability: float, no_speech: float, repeats: float) -> bool:
        g = self._guards
        silent = no_speech > g.no_speech and log_probability < g.unsure
        return silent or log_probability < g.garbage or repeats > g.compression

    def _time(
        self, tokenizer: Tokenizer, ids: list[int], encoded: Any, frames: int, offset: float
    ) -> tuple[TimedWord, ...]:
        """Word times from the decoder's cross-attention."""
        aligned = cast(
            list[dict[str, Any]], self._model.find_alignment(tokenizer, [ids], encoded, min(frames, self._window))[0]
        )
        return tuple(
            TimedWord(
                w["word"].strip(),
                round(offset + float(w["start"]), 2),
                round(offset + float(w["end"]), 2),
                float(w["probability"]),
            )
            for w in aligned
            if w["word"].strip()
        )

    def _language(self, encoded: Any) -> Lang:
        """The likelier of our two languages."""
        if not self._model.model.is_multilingual:
            return "en"
        chances = {token.strip("<|>"): p for token, p in self._model.model.detect_language(encoded)[0]}
        return "zh" if chances.get("zh", 0.0) >= chances.get("en", 0.0) else "en"


def cut_context(features: NDArray[np.float32], margin: int, window: int) -> NDArray[np.float32]:
    """``features`` [mels, frames] with ``margin`` empty frames after them, at most ``window``, an even number."""
    frames = min(features.shape[-1], window)
    size = min(window, frames + margin)
    size += size % 2
    out = np.zeros((features.shape[0], size), np.float32)
    out[:, :frames] = features[:, :frames]
    return out


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder; give a folder, a name such as 'small', or nothing")
    needed = _FILES if folder == EMBEDDED else _FILES[:3]
    for name in needed:
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: {name} is missing; fetch or convert the model again")
    vocabularies = [p for p in (folder / "vocabulary.json", folder / "vocabulary.txt") if p.is_file()]
    if not vocabularies:
        raise ModelError(f"{folder}: vocabulary.json is missing; fetch or convert the model again")
    for path in (vocabularies[0], folder / "tokenizer.json"):  # CTranslate2 itself would not notice until it decodes
        if _START not in path.read_text(encoding="utf-8", errors="replace"):
            raise ModelError(f"{path}: not a usable Whisper vocabulary, {_START} is not in it; fetch the model again")


def _extra(folder: Path) -> dict[str, Any]:
    """What our converter notes about a model beside what faster-whisper reads."""
    path = folder / "preprocessor_config.json"
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
