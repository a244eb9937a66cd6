"""Whisper through faster-whisper: the embedded model, or any other that faster-whisper can load.

What differs from its stock ``transcribe``: the encoder's context is cut to the audio's own length (Whisper always
encodes 30 seconds; a checkpoint that learned so hears what it doubts again with all of them), long audio is cut at its
quietest moments, and words are timed without a second pass over what follows the last one. Decoding is by a small beam
at temperature zero, each window by itself.

Several utterances can be decoded in one batch (``transcribe_all``). Context lengths are rounded up to whole steps, and
only windows of equal context are stacked: what stands beside a window in a batch then cannot change its text.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from asr import ngram
from asr.checkpoint import check_folder, hub_trouble, notes
from asr.guards import Guards, doubt
from asr.homophones import Homophones
from asr.second_hearing import Heard, SecondHearing
from asr.transcriber import Lang, ModelError, TimedWord, Transcription, Utterance
from asr.windows import split
from audio.g711 import Floats
from audio.telephone import resample

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer

EMBEDDED = Path(__file__).parent / "models" / "whisper-telephone-zh-en"
"""The model that ships with the program."""
_RATE = 16000
_FADE = _RATE // 200  # 5 ms: an abrupt first sample is a click over the whole band
_SHORTEST = _RATE // 20
_T = TypeVar("_T")
_STEP = 1.0
"""Seconds by which the encoder's context grows: longer steps batch better, shorter ones compute less."""
_MARGIN, _WHOLE_MARGIN = 0.5, 2.0
"""Seconds of empty context behind the sound, for a model that learned on short contexts and for one that did not.

The published checkpoints learned on 30 seconds, always. With half a second Whisper base wrote nothing for 8 of 51
utterances of real speech and one word in five differently than with 30; with two nothing for 2, and one in eight.
"""
_UNSURE = -0.6
"""Mean log-probability below which such a model hears again with its whole context, as it learned to."""


@dataclass(slots=True)
class _Window:
    """One piece of an utterance, no longer than the model's context, on its way through the decoder."""

    owner: int
    features: NDArray[np.float32]
    frames: int
    seconds: float
    offset: float
    hotwords: str | None
    heard: _Text | None = None


@dataclass(frozen=True, slots=True)
class _Text:
    """One window's result: text token ids, their mean log-probability, and the two kinds of doubt."""

    text: str
    words: tuple[TimedWord, ...]
    log_probability: float
    tokens: int
    no_speech: float


@dataclass(frozen=True, slots=True)
class _Hypothesis:
    """What the decoder may have heard: its text's token ids, and the log-probability of all ``length`` tokens."""

    text: str
    ids: list[int]
    log_probability: float
    length: int

    @property
    def mean(self) -> float:
        return self.log_probability / self.length

    def replaced(self, text: str, gained: float, tokenizer: Tokenizer) -> _Hypothesis:
        """Another text of as many tokens, ``gained`` likelier to the ear."""
        if text == self.text:
            return self
        return _Hypothesis(text, tokenizer.encode(text), self.log_probability + gained, self.length)


class FasterWhisper:
    """A ``Transcriber``. Thread-safe: the model has no state between calls, and CTranslate2 queues for its workers."""

    def __init__(
        self,
        model: WhisperModel,
        *,
        beam_size: int = 5,
        words: bool = True,
        margin: float = _MARGIN,
        short_context: bool = True,
        max_tokens: int = 448,
        takes_prompts: bool = True,
        guards: Guards | None = None,
        ngrams: Mapping[Lang, ngram.NGram] | None = None,
    ) -> None:
        """Use ``load``. ``margin``: seconds of empty context encoded after the audio's end. ``ngrams`` choose among the
        beam's hypotheses. ``short_context``: the model learned on short contexts; any other hears what it doubts again
        with its whole window."""
        self._model = model
        self._beam_size = beam_size
        self._words = words
        self._margin = max(1, round(margin * model.frames_per_second))
        self._short_context = short_context
        self._max_tokens = max_tokens
        self._takes_prompts = takes_prompts
        self._guards = guards or Guards()
        self._ngrams = ngrams or {}
        self._second = SecondHearing(model, Homophones(self._ngrams["zh"])) if "zh" in self._ngrams else None
        self._window = model.feature_extractor.nb_max_frames
        self._step = max(2, round(_STEP * model.frames_per_second))
        self._tokenizers: dict[Lang, Tokenizer] = {}
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
            check_folder(source, noted=source == EMBEDDED)
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
            raise ModelError(f"no Whisper {source!r}: {hub_trouble(str(source), e, reason)}") from e
        extra = notes(Path(source)) if is_folder else {}
        return cls(
            loaded,
            beam_size=beam_size,
            words=words,
            margin=_MARGIN if extra.get("short_context") else _WHOLE_MARGIN,
            short_context=bool(extra.get("short_context")),
            max_tokens=int(extra.get("max_target_positions", 448)),
            takes_prompts=bool(extra.get("takes_prompts", True)),
            ngrams=ngram.load(Path(source)) if is_folder else None,
        )

    def transcribe(
        self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None
    ) -> Transcription:
        """See ``Transcriber.transcribe``."""
        return self.transcribe_all([Utterance(samples, rate, lang, hotwords)])[0]

    def transcribe_all(self, utterances: Sequence[Utterance], *, batch_size: int = 16) -> list[Transcription]:
        """What ``transcribe`` gives for each, decoded ``batch_size`` windows at a time. Raises as it does."""
        windows = [self._cut(owner, utterance) for owner, utterance in enumerate(utterances)]
        langs = [utterance.lang for utterance in utterances]
        # Where the language is open, the first window decides: the others wait for it.
        self._decode([pieces[0] for pieces, lang in zip(windows, langs, strict=True) if pieces and not lang], langs, 1)
        rest = [w for pieces in windows for w in pieces if w.heard is None]
        self._decode(rest, langs, batch_size)
        return [_joined(pieces, lang) for pieces, lang in zip(windows, langs, strict=True)]

    def shape(self, utterance: Utterance) -> Hashable:
        """See ``BatchTranscriber.shape``: the language, the context's length, and the room that the prompt takes."""
        model = self._model
        frames = round(len(utterance.samples) / max(1, utterance.rate) * model.frames_per_second) + self._margin
        steps = -(-min(frames, self._window) // self._step)
        return (
            utterance.lang,
            steps,
            utterance.hotwords and len(self._prompt(utterance.lang or "zh", utterance.hotwords)),
        )

    def _cut(self, owner: int, utterance: Utterance) -> list[_Window]:
        """An utterance's windows with their features; none for silence."""
        if utterance.samples.ndim != 1:
            raise ValueError(f"audio must be mono, one dimension, not {utterance.samples.ndim}")
        if utterance.rate <= 0:
            raise ValueError(f"sample rate must be positive, not {utterance.rate}")
        samples = np.nan_to_num(utterance.samples.astype(np.float32, copy=False))
        audio = resample(samples, utterance.rate, _RATE)
        if len(audio) < _SHORTEST or not np.any(audio):
            return []
        out = []
        for start, end in split(audio, _RATE, self._longest):
            piece = audio[start:end].copy()
            piece[:_FADE] *= np.linspace(0, 1, len(piece[:_FADE]), dtype=np.float32)
            features = self._model.feature_extractor(piece)
            context = cut_context(features, self._margin, self._window, self._step)
            seconds = (end - start) / _RATE
            out.append(_Window(owner, context, features.shape[-1], seconds, start / _RATE, utterance.hotwords))
        return out

    def _decode(self, windows: Sequence[_Window], langs: list[Lang | None], batch_size: int) -> None:
        """Give every window its ``heard``, and ``langs`` what was open. Windows of one shape share a batch."""
        groups: dict[tuple[Lang | None, int, int], list[tuple[_Window, list[int]]]] = {}
        for window in windows:
            lang = langs[window.owner]
            prompt = self._prompt(lang, window.hotwords) if lang else []
            groups.setdefault((lang, window.features.shape[-1], len(prompt)), []).append((window, prompt))
        for (lang, _, _), group in groups.items():
            for batch in _batches(sorted(group, key=lambda item: item[0].seconds), batch_size):
                encoded = self._model.encode(np.stack([window.features for window, _ in batch]))
                if lang is None:  # alone in its batch
                    found = langs[batch[0][0].owner] = self._language(encoded)
                    batch = [(batch[0][0], self._prompt(found, batch[0][0].hotwords))]
                    self._hear(batch, found, encoded)
                else:
                    self._hear(batch, lang, encoded)
        if not self._short_context:
            self._hear_whole(windows, langs)

    def _hear_whole(self, windows: Sequence[_Window], langs: Sequence[Lang | None]) -> None:
        """Hear once more, with the whole window, what a cut context left doubtful; the surer of both stands."""
        for window in windows:
            before, lang = window.heard, langs[window.owner]
            whole = window.features.shape[-1] >= self._window
            if before is None or lang is None or whole or (before.text and before.log_probability >= _UNSURE):
                continue
            cut = window.features
            window.features = cut_context(cut[:, : window.frames], self._window, self._window)
            prompt = self._prompt(lang, window.hotwords)
            self._hear([(window, prompt)], lang, self._model.encode(window.features[None]))
            window.features = cut
            after = cast(_Text, window.heard)
            if before.text and (not after.text or after.log_probability < before.log_probability):
                window.heard = before

    def _tokenizer(self, lang: Lang) -> Tokenizer:
        if lang not in self._tokenizers:
            from faster_whisper.tokenizer import Tokenizer

            model = self._model
            made = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=lang)
            self._tokenizers[lang] = made
        return self._tokenizers[lang]

    def _prompt(self, lang: Lang, hotwords: str | None) -> list[int]:
        """The decoder's first tokens. Hot words stand where Whisper has the text before (``<|startofprev|>``); a model
        that never learned to read it gets none. They are text from a case file: what looks like a token is none.
        """
        words = hotwords.replace("<|", " ").replace("|>", " ").strip() if hotwords and self._takes_prompts else None
        model = self._model
        return cast(
            list[int],
            model.get_prompt(self._tokenizer(lang), [], without_timestamps=True, hotwords=words or None),
        )

    def _hear(self, batch: Sequence[tuple[_Window, list[int]]], lang: Lang, encoded: Any) -> None:
        """Decode windows of one context and one prompt length, ``encoded`` as [batch, frames, d_model]."""
        from faster_whisper.transcribe import get_suppressed_tokens

        tokenizer = self._tokenizer(lang)
        prompts = [prompt for _, prompt in batch]
        # A second of speech never holds more than about 20 tokens: a decoder that loops is stopped early. The bound
        # follows from the context, which is equal in a batch, so that a neighbour cannot change it.
        context = batch[0][0].features.shape[-1] / self._model.frames_per_second
        room = min(self._max_tokens - len(prompts[0]), 16 + round(20 * context))
        results = self._model.model.generate(
            encoded, prompts, beam_size=self._beam_size, max_length=len(prompts[0]) + room, return_scores=True,
            num_hypotheses=self._beam_size if lang in self._ngrams else 1,
            return_no_speech_prob=True, suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
        )  # fmt: skip
        first = [self._ranked(lang, tokenizer, result) for result in results]
        chosen = [ranked[0] for ranked in first]
        if lang == "zh" and self._second is not None:
            asked = [
                Heard(tuple(each.text for each in ranked[:2]), place, min(window.frames, self._window), window.hotwords)
                for place, ((window, _), ranked) in enumerate(zip(batch, first, strict=True))
                if ranked[0].text
            ]
            for each, better in zip(asked, self._second.choose(asked, tokenizer, encoded), strict=True):
                chosen[each.place] = chosen[each.place].replaced(*better, tokenizer)
        said: list[list[int]] = []
        for (window, _), result, best in zip(batch, results, chosen, strict=True):
            text, ids, log_probability = best.text, best.ids, best.mean
            if doubt(
                text, lang, seconds=window.seconds, log_probability=log_probability,
                no_speech=result.no_speech_prob, guards=self._guards,
                hotwords=window.hotwords if self._takes_prompts else None,
            ):  # fmt: skip
                text, ids = "", []
            said.append(ids)
            window.heard = _Text(text, (), log_probability, len(ids), result.no_speech_prob)
        if self._words and any(said):
            self._time(tokenizer, batch, said, encoded)

    def _ranked(self, lang: Lang, tokenizer: Tokenizer, result: Any) -> list[_Hypothesis]:
        """A window's hypotheses, the one that the n-grams choose first."""
        found = []
        for score, decoded in zip(result.scores, result.sequences_ids, strict=True):
            ids = [i for i in decoded if i < tokenizer.eot]
            text = tokenizer.decode(ids).strip().strip("\ufffd")
            found.append(_Hypothesis(text, ids, score * len(decoded), len(decoded) + 1))
        scores = [each.log_probability for each in found]
        order = ngram.ranked([each.text for each in found], scores, self._ngrams.get(lang))
        return [found[at] for at in order]

    def _time(
        self, tokenizer: Tokenizer, batch: Sequence[tuple[_Window, list[int]]], said: list[list[int]], encoded: Any
    ) -> None:
        """Word times from the decoder's cross-attention; windows in which nothing was said get none."""
        # An empty list would be aligned as nothing at all: an end token stands in, and its answer is thrown away.
        frames = cast(Any, [min(window.frames, self._window) for window, _ in batch])
        tokens = cast(Any, [ids or [tokenizer.eot] for ids in said])
        aligned = cast(list[Any], self._model.find_alignment(tokenizer, tokens, encoded, frames))
        for (window, _), ids, found in zip(batch, said, aligned, strict=True):
            if ids and window.heard is not None:
                window.heard = replace(window.heard, words=_words(found, window.offset))

    def _language(self, encoded: Any) -> Lang:
        """The likelier of our two languages."""
        if not self._model.model.is_multilingual:
            return "en"
        chances = {token.strip("<|>"): p for token, p in self._model.model.detect_language(encoded)[0]}
        return "zh" if chances.get("zh", 0.0) >= chances.get("en", 0.0) else "en"


def cut_context(features: NDArray[np.float32], margin: int, window: int, step: int = 2) -> NDArray[np.float32]:
    """``features`` [mels, frames] with at least ``margin`` empty frames after them, in whole ``step`` frames (an even
    number), at most ``window``."""
    frames = min(features.shape[-1], window)
    step += step % 2
    size = min(window, -(-(frames + margin) // step) * step)
    out = np.zeros((features.shape[0], size), np.float32)
    out[:, :frames] = features[:, :frames]
    return out


def _batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _joined(windows: Sequence[_Window], lang: Lang | None) -> Transcription:
    """The windows of one utterance as one result."""
    heard = [w.heard for w in windows if w.heard is not None]
    if not heard:
        return Transcription("", lang or "zh", (), 0.0, 1.0)
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


def _words(aligned: Sequence[dict[str, Any]], offset: float) -> tuple[TimedWord, ...]:
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
