"""Recordings to transcripts: speech is found, cut into utterances, sorted by length and decoded in batches.

Two channels are two people: each is heard by itself. One channel is diarized. What makes it fast is that no
utterance is padded to the recogniser's full window, that equal lengths are decoded together, and that every core
works on batches of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.audiofile import Recording
from asr.diarization.turns import Diarizer, SpeakerTurn, attribute
from asr.guards import TURN, doubt, sparse, units
from asr.spelling import tidied
from asr.transcriber import BatchTranscriber, Lang, TimedWord, Transcription, Utterance
from asr.vad import SpeechOptions, probabilities, segments

SHARD_S = 600.0
"""Seconds of speech that are in memory at once."""
LONGEST_S = 28.0
"""An utterance longer than this is cut by the transcriber in any case."""
PAD_S = 0.2
"""Sound around an utterance that is decoded with it: detectors begin late and end early."""
FINE = SpeechOptions(threshold=0.4, release=0.3, silence=0.25)
"""What counts as speech for the diarizer: speakers change in pauses that do not end an utterance."""
_SAMPLED = 6
_SHORT, _SHORT_SURE = 3, 0.5
"""A text of so few words needs so much confidence: it is what recognisers write over distant voices."""
_BLIP_S, _BLIP_SURE = 0.25, 0.7
"""A sound shorter than a syllable needs so much."""
_ROW_GAP = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance of a transcript. Times in seconds from the recording's start.

    ``channel`` is set for a recording of two channels, ``speaker`` (from 0, as first heard) for one that was
    diarized; neither where only one voice was looked for. ``confidence`` in [0, 1].
    """

    start: float
    end: float
    text: str
    lang: Lang
    words: tuple[TimedWord, ...]
    confidence: float
    channel: int | None = None
    speaker: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of ``callgate transcribe``."""
        who: dict[str, Any] = {}
        if self.channel is not None:
            who["channel"] = self.channel
        if self.speaker is not None:
            who["speaker"] = f"speaker_{self.speaker + 1}"
        words = [
            {"text": w.text, "start": w.start, "end": w.end, "probability": round(w.probability, 4)} for w in self.words
        ]
        times = {"start": round(self.start, 2), "end": round(self.end, 2)}
        confidence = round(self.confidence, 4)
        return {**who, **times, "text": self.text, "words": words, "confidence": confidence, "lang": self.lang}


@dataclass(frozen=True, slots=True)
class _Piece:
    """An utterance to decode: where its speech lies, and what is read of the sound around it."""

    channel: int | None
    start: float
    end: float
    read_from: float
    read_to: float


def speech_chances(recording: Recording, channel: int | None, workers: int = 1) -> NDArray[np.float32]:
    """The speech detector's probabilities over one channel, or all mixed."""
    return probabilities(lambda a, b: recording.read(channel, a, b), recording.seconds, recording.rate, workers)


class BatchTranscription:
    """Transcribes recordings on ``workers`` threads, with one transcriber for all of them."""

    def __init__(
        self,
        transcriber: BatchTranscriber,
        *,
        diarizer: Diarizer | None = None,
        workers: int = 2,
        batch_size: int = 16,
        options: SpeechOptions | None = None,
    ) -> None:
        """``diarizer`` None: recordings of one channel are taken as one voice."""
        self._transcriber = transcriber
        self._diarizer = diarizer
        self._workers = max(1, workers)
        self._batch_size = batch_size
        self._options = options or SpeechOptions()

    def transcribe(
        self, recording: Recording, lang: Lang | None = None, progress: Callable[[float], None] | None = None
    ) -> list[Row]:
        """The recording's utterances in order of time. ``lang`` None detects one language for each channel.

        ``progress`` is told the share done so far, 0 to 1. Raises ``ModelError`` where a model cannot be used.
        """
        tell = progress or (lambda _share: None)
        channels: Sequence[int | None] = [None] if recording.is_one_sound() else range(recording.channels)
        pieces: list[_Piece] = []
        turns: list[SpeakerTurn] | None = None
        for i, channel in enumerate(channels):
            chances = speech_chances(recording, channel, self._workers)
            spans = _no_longer_than(segments(chances, recording.seconds, self._options), LONGEST_S)
            pieces += _pieces(channel, list(spans), recording.seconds)
            tell(0.1 * (i + 1) / len(channels))
            if channel is None and self._diarizer is not None and pieces:
                turns = self._diarizer.diarize(recording, segments(chances, recording.seconds, FINE))
        tell(0.2)
        langs: dict[int | None, Lang] = {}
        for channel in channels:
            own = [p for p in pieces if p.channel == channel]
            if own:
                langs[channel] = lang or self._language(recording, own)
        rows: list[Row] = []
        total = sum(p.end - p.start for p in pieces)
        done = 0.0
        for shard in _shards(pieces, SHARD_S):
            for piece, heard in self._decode(recording, shard, langs):
                rows += _rows(piece, heard, turns)
            done += sum(p.end - p.start for p in shard)
            tell(min(1.0, 0.2 + 0.8 * done / total))
        tell(1.0)
        return sorted(rows, key=lambda row: (row.start, row.end, row.channel or 0))

    def _language(self, recording: Recording, pieces: Sequence[_Piece]) -> Lang:
        """The language of most of the longest utterances."""
        longest = sorted(pieces, key=lambda p: p.start - p.end)[:_SAMPLED]
        heard = self._transcriber.transcribe_all([_utterance(recording, p, None) for p in longest])
        votes: Counter[Lang] = Counter()
        for piece, each in zip(longest, heard, strict=True):
            votes[each.lang] += round(100 * (piece.end - piece.start) * (each.confidence if each.text else 0.01))
        return votes.most_common(1)[0][0]

    def _decode(
        self, recording: Recording, pieces: Sequence[_Piece], langs: dict[int | None, Lang]
    ) -> Iterable[tuple[_Piece, Transcription]]:
        # Only equal shapes share a batch. The dearest batches go first, so that no thread is left alone with one of
        # them at the end; and none is so large that another thread has nothing to do.
        shapes: dict[Hashable, list[_Piece]] = {}
        for piece in sorted(pieces, key=lambda p: p.start - p.end):
            shapes.setdefault(self._shape(recording, piece, langs[piece.channel]), []).append(piece)
        size = max(1, min(self._batch_size, -(-len(pieces) // self._workers)))
        jobs = [same[i : i + size] for same in shapes.values() for i in range(0, len(same), size)]
        jobs.sort(key=lambda job: -sum(p.read_to - p.read_from for p in job))

        def work(job: Sequence[_Piece]) -> list[tuple[_Piece, Transcription]]:
            asked = [_utterance(recording, piece, langs[piece.channel]) for piece in job]
            heard = map(tidied, self._transcriber.transcribe_all(asked, batch_size=self._batch_size))
            return [(p, h) for p, h in zip(job, heard, strict=True) if _believed(p, h)]

        if self._workers == 1 or len(jobs) == 1:
            results = [work(job) for job in jobs]
        else:
            with ThreadPoolExecutor(self._workers, thread_name_prefix="transcribe") as pool:
                results = list(pool.map(work, jobs))
        return [pair for result in results for pair in result]

    def _shape(self, recording: Recording, piece: _Piece, lang: Lang) -> Hashable:
        """The shape of the utterance that a piece will be, told without reading it."""
        length = round((piece.read_to - piece.read_from) * recording.rate)
        unread = np.broadcast_to(np.float32(0), length)
        return self._transcriber.shape(Utterance(unread, recording.rate, lang))


def _utterance(recording: Recording, piece: _Piece, lang: Lang | None) -> Utterance:
    return Utterance(recording.read(piece.channel, piece.read_from, piece.read_to), recording.rate, lang)


def _pieces(channel: int | None, spans: Sequence[tuple[float, float]], seconds: float) -> list[_Piece]:
    """Each utterance with ``PAD_S`` of what surrounds it, or half the way to its neighbour."""
    out = []
    for i, (start, end) in enumerate(spans):
        before = (spans[i - 1][1] + start) / 2 if i else 0.0
        after = (end + spans[i + 1][0]) / 2 if i + 1 < len(spans) else seconds
        out.append(_Piece(channel, start, end, max(before, start - PAD_S), min(after, end + PAD_S)))
    return out


def _believed(piece: _Piece, heard: Transcription) -> bool:
    """Whether anything was said: recognisers write fluent sentences over noise, too."""
    seen = math.log(heard.confidence) if heard.confidence > 0 else -math.inf
    seconds = piece.read_to - piece.read_from
    why = doubt(heard.text, heard.lang, seconds=seconds, log_probability=seen, no_speech=heard.no_speech, guards=TURN)
    if why is not None:
        return False
    said, spoken = len(units(heard.text)), piece.end - piece.start
    if sparse(heard.text, spoken):
        return False
    if spoken < _BLIP_S and heard.confidence < _BLIP_SURE:
        return False
    return heard.confidence >= _SHORT_SURE or said > _SHORT


def _no_longer_than(spans: Iterable[tuple[float, float]], longest: float) -> Iterator[tuple[float, float]]:
    """Spans cut into even parts where they are too long: somebody who never pauses, or a noise taken for speech."""
    for start, end in spans:
        parts = max(1, -(-int(1000 * (end - start)) // int(1000 * longest)))
        step = (end - start) / parts
        for i in range(parts):
            yield start + i * step, end if i == parts - 1 else start + (i + 1) * step


def _shards(pieces: Sequence[_Piece], seconds: float) -> Iterator[list[_Piece]]:
    shard: list[_Piece] = []
    held = 0.0
    for piece in sorted(pieces, key=lambda p: p.start):
        shard.append(piece)
        held += piece.end - piece.start
        if held >= seconds:
            yield shard
            shard, held = [], 0.0
    if shard:
        yield shard


def _rows(piece: _Piece, heard: Transcription, turns: Sequence[SpeakerTurn] | None) -> list[Row]:
    """The utterance as rows: one, or where several people speak in it, one for each stretch of one's words."""
    if not heard.text:
        return []
    words = tuple(
        TimedWord(w.text, round(piece.read_from + w.start, 2), round(piece.read_from + w.end, 2), w.probability)
        for w in heard.words
    )
    if turns is None:
        return [Row(piece.start, piece.end, heard.text, heard.lang, words, heard.confidence, piece.channel)]
    if not words:  # a transcriber without word times: the whole goes to whoever speaks most of it
        whole = TimedWord(heard.text, piece.start, piece.end, heard.confidence)
        speaker = attribute([whole], turns)[0]
        return [Row(piece.start, piece.end, heard.text, heard.lang, (), heard.confidence, None, speaker)]
    speakers = attribute(words, turns)
    rows: list[Row] = []
    begin = 0
    for i in range(1, len(words) + 1):
        gap = i < len(words) and words[i].start - words[i - 1].end > _ROW_GAP
        if i == len(words) or speakers[i] != speakers[begin] or gap:
            own = words[begin:i]
            text = ("" if heard.lang == "zh" else " ").join(w.text for w in own)
            confidence = heard.confidence
            rows.append(Row(own[0].start, own[-1].end, text, heard.lang, own, confidence, None, speakers[begin]))
            begin = i
    return rows
