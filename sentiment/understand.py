# ruff: noqa: E501 - tables, one entry a line
"""One utterance in, what was meant out: safety rules, context, the trained model, slots, emotion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from sentiment import context, rules
from sentiment.emotion import fuse
from sentiment.errors import InputError
from sentiment.model import DEFAULT_MODEL, LinearModel
from sentiment.slots import Slot, SlotContext, extract
from sentiment.text import fold
from sentiment.voice import RATE, VoiceBaseline, VoiceReading, read_voice

MAX_TEXT = 4000
"""Characters of one utterance; a longer text is no utterance."""
RULE_CONFIDENCE = 0.95
"""Confidence of an intent by safety rule: our own figure; the rules are tuned for recall."""
_CLAUSE_END = re.compile(r"(?<!\d)[,.](?!\d)|[,.](?=\s)|[，。；;！!？?、]")
_LEAST_CLAUSE = {"zh": 4, "en": 8}
_MOST_CLAUSES = 6
_SMALL_TALK = frozenset({"other", "affirm", "deny", "greeting", "goodbye"})
_CLEAR = 0.6
"""Confidence from which a clause alone counts as a further intent: our own figure."""
_ZONE = {"zh": "Asia/Shanghai", "en": "America/New_York"}
_PAST = {
    "zh": re.compile(
        r"已经|还过|付过|交过|还了(?!吧|就|再)|付了|刚还|刚付|早就|扣了|扣过|转过|打过去了|转了|上个?月|上周|上星期|昨天.{0,6}[还付转]"
    ),
    "en": re.compile(
        r"\b(?:paid|already|sent it|sent you|went through|was taken|made (?:a|the|that|my) payment|last (?:week|month)|cleared|settled it)\b"
    ),
}


@dataclass(frozen=True, slots=True)
class Understanding:
    """What an utterance means. Labels are those of ``sentiment.labels``.

    ``intents``: the main intent first, then every further one above its threshold, with confidence in [0, 1].
    ``slots``: by key ``date``, ``time``, ``amount``, ``digits``. ``scores``: emotion probabilities. ``arousal`` and
    ``valence`` in [-1, 1]. ``sources``: what ``text`` and, with a second of speech or more, ``voice`` said alone.
    ``voice``: the functionals, for the caller's baseline.
    """

    intent: str
    confidence: float
    intents: tuple[tuple[str, float], ...]
    slots: Mapping[str, Slot] = field(default_factory=dict)
    emotion: str = "neutral"
    scores: Mapping[str, float] = field(default_factory=dict)
    arousal: float = 0.0
    valence: float = 0.0
    sources: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    voice: VoiceReading | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of ``callgate understand``."""
        return {
            "intent": self.intent,
            "confidence": round(self.confidence, 4),
            "intents": [[label, round(p, 4)] for label, p in self.intents],
            "slots": {
                key: {"value": s.value, "text": s.text, "start": s.start, "end": s.end, "candidates": [*s.candidates]}
                for key, s in self.slots.items()
            },
            "emotion": self.emotion,
            "scores": {label: round(p, 4) for label, p in self.scores.items()},
            "arousal": round(self.arousal, 4),
            "valence": round(self.valence, 4),
            "sources": {name: {k: round(v, 4) for k, v in said.items()} for name, said in self.sources.items()},
        }


def _local_now(zone: str) -> datetime:
    try:
        return datetime.now(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError) as e:
        raise InputError(f"unknown time zone {zone!r}") from e


def _month_first(lang: str, zone: str, currency: str | None) -> bool | None:
    if lang == "zh" or currency == "USD" or zone.startswith(("America/", "US/")):
        return True
    if currency in ("GBP", "EUR", "INR", "AUD", "NZD", "HKD", "SGD") or zone.startswith(("Europe/", "Australia/")):
        return False
    return None


@dataclass(frozen=True, slots=True)
class Understander:
    """Reads utterances. Holds no state between them: safe to share by all calls of a process."""

    model: LinearModel

    @classmethod
    def load(cls, model: Path | None = None) -> Understander:
        """With the given model file, or the embedded one. Raises ``ModelError``."""
        return cls(LinearModel.load(model or DEFAULT_MODEL))

    def understand(
        self,
        text: str,
        lang: str,
        *,
        audio: NDArray[np.float32] | None = None,
        rate: int = RATE,
        today: date | None = None,
        time_zone: str | None = None,
        expects: str | None = None,
        currency: str | None = None,
        amount_due: Decimal | None = None,
        now: datetime | None = None,
        baseline: VoiceBaseline | None = None,
        payday: int | None = None,
    ) -> Understanding:
        """Understand one utterance.

        ``audio``: its sound, mono float32 in [-1, 1], shape ``(n,)`` at ``rate`` Hz. ``today``: the call's date in the
        borrower's ``time_zone`` (IANA; by default that of the language); by default the present. ``now``: the
        borrower's local time, for "in an hour". ``expects``: what the agent asked for, one of ``context.EXPECTS``.
        ``currency`` (ISO 4217) and ``amount_due`` are the loan's; ``payday`` the borrower's day of the month.
        Raises ``InputError`` for a language, expectation, zone or audio that cannot be used.
        """
        if lang not in ("zh", "en"):
            raise InputError(f"unknown language {lang!r}: zh or en")
        if expects is not None and expects not in context.EXPECTS:
            raise InputError(f"unknown expectation {expects!r}: one of {', '.join(context.EXPECTS)}")
        if len(text) > MAX_TEXT:
            raise InputError(f"an utterance of {len(text)} characters: at most {MAX_TEXT}")
        if audio is not None and audio.ndim != 1:
            raise InputError(f"audio of {audio.ndim} dimensions: mono samples wanted")
        zone = time_zone or _ZONE[lang]
        if today is None:
            now = now or _local_now(zone)
            today = now.date()
        folded = fold(text).text
        voice = read_voice(audio, rate, baseline) if audio is not None else None
        scored = self.model.scores(text, lang, expects)
        slot_context = SlotContext(
            today=today,
            now=now,
            expects=expects,
            currency=currency,
            amount_due=amount_due,
            payday=payday,
            past=context.reports_payment(text, lang)
            or (bool(_PAST[lang].search(folded)) and scored.intents["already_paid"] > scored.intents["promise_to_pay"]),
            month_first=_month_first(lang, zone, currency),
        )
        slots = extract(text, lang, slot_context)
        intents = self._intents(text, lang, expects, scored.intents, slots)
        emotion = fuse(folded, lang, scored.emotions, voice)
        return Understanding(
            intents[0][0],
            intents[0][1],
            intents,
            slots,
            emotion.label,
            emotion.scores,
            emotion.arousal,
            emotion.valence,
            emotion.sources,
            voice,
        )

    def _intents(
        self, text: str, lang: str, expects: str | None, scores: dict[str, float], slots: dict[str, Slot]
    ) -> tuple[tuple[str, float], ...]:
        """Main intent first. Safety rules lead, then the context's reading of short answers, then the model."""
        if not any(c.isalnum() for c in text):
            return (("other", 0.0),)
        cleared = rules.cleared(text, lang)
        ranked = sorted(((k, p) for k, p in scores.items() if k not in cleared), key=lambda item: -item[1])
        sure, further = (float(t) for t in self.model.threshold)
        found: dict[str, float] = {name: max(RULE_CONFIDENCE, scores[name]) for name in rules.fired(text, lang)}
        by_context = context.read_in_context(text, lang, expects, slots, ranked[0][0])
        if by_context is not None and not found:
            found[by_context] = max(context.CONFIDENCE, scores[by_context])
        if not found:
            best, p = ranked[0]
            found[best if p >= sure else "other"] = p if p >= sure else 1 - p
        for name, p in ranked:
            if name != "other" and p >= further and by_context is None:
                found.setdefault(name, p)
        for name, p in self._clauses(text, lang):
            if name not in cleared:
                found.setdefault(name, p)
        main, *rest = found.items()
        return (main, *sorted(rest, key=lambda item: -item[1]))

    def _clauses(self, text: str, lang: str) -> list[tuple[str, float]]:
        """What the single clauses of a punctuated utterance clearly want: a further wish may drown in the whole."""
        clauses = [c for c in _CLAUSE_END.split(text) if len(c.strip()) >= _LEAST_CLAUSE[lang]][:_MOST_CLAUSES]
        out: list[tuple[str, float]] = []
        if len(clauses) > 1:
            for clause in clauses:
                scores = self.model.scores(clause, lang).intents
                best = max(scores, key=lambda k: scores[k])
                if best not in _SMALL_TALK and scores[best] >= _CLEAR:
                    out.append((best, scores[best]))
        return out
