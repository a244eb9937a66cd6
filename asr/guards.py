"""When a transcript is not believed. Pure functions over what a decoder says of its own work; no model, no audio.

Whisper writes fluent sentences over silence, music and noise (Koenecke et al. 2024, FAccT, count about one in a
hundred segments), often the same ones: the credits of subtitles it was trained on. A turn that is doubted is asked
for again; nothing is guessed.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from dataclasses import dataclass
from typing import Literal

from asr.transcriber import Lang, Transcription

Doubt = Literal["no words", "silence", "unsure", "repetition", "too fast", "phantom"]


@dataclass(frozen=True, slots=True)
class Guards:
    """Bounds beyond which text is doubted; the first four values are those of Whisper's own decoder (Radford et al.
    2022, section 4.5). Figures count neither as compressible nor as loops: numbers repeat digits by nature.

    Text is doubted if nobody speaks with probability over ``no_speech`` and the mean log-probability of its tokens is
    under ``unsure``; if that is under ``garbage`` whatever else; if the text compresses by more than ``compression``.
    ``loop_units`` and ``loop_phrases``: so many times a single character or word, or a longer phrase, may follow
    itself. ``rate``: characters of Mandarin or words of English in a second, beyond ``slack`` of them: fast speech has
    about 8 syllables a second (Pellegrino et al. 2011, Language 87:539).
    """

    no_speech: float = 0.6
    unsure: float = -1.0
    garbage: float = -1.8
    compression: float = 2.4
    loop_units: int = 6
    loop_phrases: int = 4
    rate: float = 10.0
    slack: int = 5


TURN = Guards(garbage=math.log(0.35))
"""For a turn of a call: below a confidence of 0.35 the agent asks again rather than act."""

_FEW, _FEW_SURE = 3, math.log(0.5)
"""So few words need more confidence: hold music and crowds are heard as one or two. Of 169 short answers that were
heard rightly (voices never in training, lines from good to bad) four fall below it, of 23 misheard ones twelve."""

_PHANTOMS = {
    "zh": re.compile(
        r"请不吝点赞|点赞.{0,4}(?:订阅|关注)|订阅.{0,4}(?:转发|打赏|频道)|打赏支持|明镜.{0,4}点点|字幕(?:由|组|志愿者|制作|提供|校对)"
        r"|(?:谢谢|感谢)(?:大家)?(?:的)?(?:观看|收看|收听)|(?:本期|这期)(?:视频|节目)|下(?:期|集)(?:再见|见)|(?:独播|配音)剧场|词曲|作词|作曲"
        r"|中文字幕|amara"
    ),
    "en": re.compile(
        r"\b(?:thanks|thank you)(?: (?:so|very) much)? for (?:watching|viewing)\b"
        r"|\blistening to (?:this|the|our) (?:video|podcast|episode)\b"
        r"|\b(?:like|please|and|don't forget to) subscribe\b|\bsubscribe to (?:my|our|the) channel\b"
        r"|\bsee you (?:in the|on the|in my) next (?:video|one|episode)\b|\bsubtitles? (?:by|provided|made)\b"
        r"|\btranscri(?:bed|ption) by\b|\bamara\s?org\b|\bcaption(?:s|ing) (?:by|made|provided)\b"
        r"|\blink in the description\b"
    ),
}
"""Phrases that recognisers write where nobody speaks, and that nobody says in a call about a loan."""

_WEAK_PHANTOMS = {
    "zh": frozenset({"谢谢", "谢谢大家", "再见", "拜拜", "嗯", "啊", "哦", "我"}),
    "en": frozenset({"you", "thank you", "thanks", "bye", "bye bye", "okay", "so", "oh", "the", "i"}),
}
"""Words that people do say, and recognisers write over noise: believed only without other doubt."""

_WEAK_NO_SPEECH, _WEAK_LOG_PROBABILITY = 0.35, math.log(0.5)
_LONG_S, _SPARSE = 4.0, 0.5
"""Speech of so many seconds holds so many words (characters of Mandarin) a second at the least: the slowest people say
two."""
_AROUND = 0.4  # seconds of sound before and after a turn that are decoded with it
_PUNCTUATION = re.compile(r"[^\w']+")
_BETWEEN = re.compile(r"[,，、;；]\s*")
_HAN = re.compile(r"[\u3400-\u9fff]")


def doubt(
    text: str,
    lang: Lang,
    *,
    seconds: float,
    log_probability: float,
    no_speech: float,
    guards: Guards | None = None,
    hotwords: str | None = None,
) -> Doubt | None:
    """Why ``text`` is not believed, ``None`` if it is.

    ``seconds``: length of the audio behind it. ``log_probability``: mean of its tokens', natural logarithm.
    ``hotwords``: what the recogniser was told to expect.
    ``no_speech``: the decoder's probability that nobody speaks, in [0, 1].
    """
    g = guards or Guards()
    plain = " ".join(_PUNCTUATION.sub(" ", unicodedata.normalize("NFKC", text).lower()).split())
    if not plain:
        return "no words"
    if no_speech > g.no_speech and log_probability < g.unsure:
        return "silence"
    if log_probability < g.garbage:
        return "unsure"
    wordy = " ".join(unit for unit in units(plain) if not _is_number(unit))
    if compression_ratio(wordy) > g.compression or loops(plain, g.loop_units, g.loop_phrases):
        return "repetition"
    if len(units(plain)) > g.rate * seconds + g.slack:
        return "too fast"
    tight = plain.replace(" ", "")
    if any(pattern.search(tight if name == "zh" else plain) for name, pattern in _PHANTOMS.items()):
        return "phantom"
    sure = no_speech <= _WEAK_NO_SPEECH and log_probability >= _WEAK_LOG_PROBABILITY
    if hotwords and recites(plain, hotwords, sure=sure):
        return "phantom"
    if plain in _WEAK_PHANTOMS[lang] and not sure:
        return "phantom"
    return None


def turn_doubt(heard: Transcription, seconds: float) -> Doubt | None:
    """Why a turn of ``seconds`` is to be asked for again, ``None`` if it can be acted on."""
    log_probability = math.log(heard.confidence) if heard.confidence > 0 else -math.inf
    why = doubt(
        heard.text, heard.lang, seconds=seconds, log_probability=log_probability, no_speech=heard.no_speech, guards=TURN
    )
    if why is None and len(units(heard.text)) <= _FEW and log_probability < _FEW_SURE:
        return "unsure"
    return why or ("unsure" if sparse(heard.text, seconds - _AROUND) else None)


def sparse(text: str, spoken: float) -> bool:
    """Whether too little was found in ``spoken`` seconds of what is taken for speech: a crowd, or a television."""
    return spoken >= _LONG_S and len(units(text)) < _SPARSE * spoken


def recites(text: str, hotwords: str, *, sure: bool) -> bool:
    """Whether ``text`` (folded, without punctuation) only repeats the hot words, as recognisers do over silence.

    A person says one of them ("harbor lending?"), or two in a sentence of his own; nobody says three of our list and
    nothing else. Where the recogniser is not ``sure``, one is enough to be doubted.
    """
    phrases = [
        "".join(units(_PUNCTUATION.sub(" ", unicodedata.normalize("NFKC", each).lower())))
        for each in _BETWEEN.split(hotwords)
    ]
    rest, found = "".join(units(text)), 0
    for phrase in filter(None, phrases):
        if phrase in rest:
            found += 1
            rest = rest.replace(phrase, "", 1)
    return not rest and found >= (3 if sure else 1)


def compression_ratio(text: str) -> float:
    """Bytes of ``text`` to bytes of it compressed: above about 2.4 it says the same again and again."""
    data = text.encode("utf-8")
    return len(data) / len(zlib.compress(data)) if data else 0.0


def units(text: str) -> list[str]:
    """What counts as one word: a Chinese character, or a run of other letters and digits."""
    out: list[str] = []
    for word in text.split():
        run = ""
        for char in word:
            if _HAN.match(char):
                out += [run, char] if run else [char]
                run = ""
            elif char.isalnum() or char == "'":
                run += char
        if run:
            out.append(run)
    return out


def loops(text: str, most_units: int, most_phrases: int, longest: int = 12) -> bool:
    """Whether a word follows itself more than ``most_units`` times, or a phrase of 2 to ``longest`` words more than
    ``most_phrases`` times. Digits may: numbers do so by nature.
    """
    said = units(text)
    for size in range(1, longest + 1):
        most = most_units if size == 1 else most_phrases
        run = 0  # words in a row that equal the word one phrase before
        for i in range(size, len(said)):
            run = run + 1 if said[i] == said[i - size] and not _is_number(said[i]) else 0
            if run >= most * size:
                return True
    return False


_NUMBER_WORDS = frozenset(
    [
        "zero",
        "oh",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        *"零〇一二三四五六七八九幺两",
    ]
)


def _is_number(word: str) -> bool:
    return word.isdecimal() or word in _NUMBER_WORDS
