"""Which of our languages a turn was spoken in, when the one that the script expects does not fit.

The language is fixed by the script and costs nothing. Only a transcript that the recogniser itself doubts, or that is
written in the other language's letters, is decoded a second time, in the other language; that one stands if the
recogniser is much surer of it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import cast

from asr.guards import turn_doubt, units
from asr.spelling import tidied
from asr.transcriber import Lang, Transcriber, Transcription
from audio.g711 import Floats

OTHER: dict[Lang, Lang] = {"zh": "en", "en": "zh"}


@dataclass(frozen=True, slots=True)
class SwitchRule:
    """Confidence below ``doubted`` asks for the other language; it stands from ``sure`` on if it is ``better`` by that
    much, and at least ``least`` words (characters of Mandarin) were heard in it: "ok" belongs to both.
    """

    doubted: float = 0.6
    sure: float = 0.65
    better: float = 0.2
    least: int = 2


def transcribe_either(
    transcriber: Transcriber,
    samples: Floats,
    rate: int,
    lang: Lang,
    *,
    hotwords: str | None = None,
    rule: SwitchRule | None = None,
) -> Transcription:
    """Hear a turn in ``lang``, or in the other language if it was plainly spoken in that. Raises as ``transcribe``."""
    steps = decodes(lang, len(samples) / rate, rule)
    asked = next(steps)
    while True:
        try:
            asked = steps.send(transcriber.transcribe(samples, rate, asked, hotwords=hotwords))
        except StopIteration as done:
            return cast(Transcription, done.value)


def decodes(
    lang: Lang, seconds: float, rule: SwitchRule | None = None
) -> Generator[Lang, Transcription, Transcription]:
    """The same without a recogniser: yields the language in which the turn of ``seconds`` is to be decoded next, is
    sent what was heard, and returns what was said."""
    rule = rule or SwitchRule()
    first = tidied((yield lang))
    if first.confidence >= rule.doubted and not foreign(first.text, lang):
        return first
    second = tidied((yield OTHER[lang]))
    return second if switched(first, second, seconds, rule) else first


def switched(first: Transcription, second: Transcription, seconds: float, rule: SwitchRule) -> bool:
    """Whether ``second``, in the other language, is what was said."""
    return (
        second.confidence >= rule.sure
        and second.confidence >= first.confidence + rule.better
        and len(units(second.text)) >= rule.least
        and not foreign(second.text, second.lang)
        and turn_doubt(second, seconds) is None
    )


def foreign(text: str, lang: Lang) -> bool:
    """Whether most of ``text`` is written in the letters of the other language."""
    said = [unit for unit in units(text) if not unit.isdecimal()]
    han = sum("\u3400" <= unit[0] <= "\u9fff" for unit in said)
    return 2 * (len(said) - han if lang == "zh" else han) > len(said)
