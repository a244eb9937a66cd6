# ruff: noqa: E501 - tables, one entry a line
"""One utterance in, what was meant out: safety rules, context, the trained model, slots, emotion."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
from sentiment.model import DEFAULT_MODEL, IntentModel, Scores
from sentiment.slots import Slot, SlotContext, extract
from sentiment.text import fold
from sentiment.voice import RATE, VoiceBaseline, VoiceClassifier, VoiceReading, read_voice

MAX_TEXT = 4000
"""Characters of one utterance; a longer text is no utterance."""
RULE_CONFIDENCE = 0.95
"""Confidence of an intent by safety rule: our own figure; the rules are tuned for recall."""
_CLAUSE_END = re.compile(r"(?<!\d)[,.](?!\d)|[,.](?=\s)|[，。；;！!？?、]")
_LEAST_CLAUSE = {"zh": 4, "en": 8}
_MOST_CLAUSES = 6
_BATCH = 32
_SMALL_TALK = frozenset({"other", "affirm", "deny", "greeting", "goodbye"})
_CLEAR = 0.6
"""Confidence from which a clause alone counts as a further intent: our own figure."""
_UNHEARD = 0.05
"""Probability in the whole utterance below which a clause that sounds like an intent is torn from its context ("send a
judge after my couch?"). Our own figure: of such readings on 2,900 sentences by authors unknown to the model, 100 were wrong
and 26 right."""
_MISLED = 0.4
"""Probability on intents that a look-alike rules out from which the rest is read again: our own figure."""
_SETTLED = 0.7
"""Confidence of another intent from which a safety intent must clear the common bar to stand beside it: our own figure,
chosen on the calibration families."""
_IMPOSSIBLE = 0.02
"""Probability below which the model contradicts a rule. Our own figure, chosen on 2,500 sentences by authors whom neither
rules nor model had seen: of what rules named against it there, 34 readings were wrong and 7 right."""
SAFETY = frozenset(
    {
        "crisis",
        "stop_contact",
        "dispute_debt",
        "legal_representation",
        "request_human",
        "deny_identity",
        "third_party",
        "deceased_or_incapacitated",
    }
)
"""Intents that must not be missed: a lower bar decides whether the model names them."""
_BY_RULE_ALONE = frozenset({"crisis", "stop_contact"})
"""Rules that no model contradicts: a life, and a wish that binds from its first saying."""
_ZONE = {"zh": "Asia/Shanghai", "en": "America/New_York"}
_PAST = {
    "zh": re.compile(
        r"已经|还过|付过|交过|还了(?!吧|就|再)|付了|刚还|刚付|早就|扣了|扣过|转过|打过去了|转了|上个?月|上周|上星期|昨天.{0,6}[还付转]"
    ),
    "en": re.compile(
        r"\b(?:paid|already|sent it|sent you|went through|was taken|made (?:a|the|that|my) payment|last (?:week|month)|cleared|settled it)\b"
    ),
}


def is_settled(best: tuple[str, float]) -> bool:
    """Whether the model's best intent leaves no room for a safety intent that it half suspects."""
    return best[0] not in SAFETY and best[1] >= _SETTLED


def contradicted(present: Mapping[str, float]) -> frozenset[str]:
    """Intents that the model finds next to impossible, so that a rule for them does not count."""
    return frozenset(k for k, p in present.items() if p < _IMPOSSIBLE) - _BY_RULE_ALONE


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
    emotion: str = "unknown"
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
class Request:
    """One utterance to understand; the fields are the arguments of ``Understander.understand``."""

    text: str
    lang: str
    audio: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    rate: int = RATE
    today: date | None = None
    time_zone: str | None = None
    expects: str | None = None
    currency: str | None = None
    amount_due: Decimal | None = None
    now: datetime | None = None
    baseline: VoiceBaseline | None = None
    payday: int | None = None
    voice: bool | None = None

    def check(self) -> None:
        """Raises ``InputError`` naming what cannot be used."""
        if self.lang not in ("zh", "en"):
            raise InputError(f"unknown language {self.lang!r}: zh or en")
        if self.expects is not None and self.expects not in context.EXPECTS:
            raise InputError(f"unknown expectation {self.expects!r}: one of {', '.join(context.EXPECTS)}")
        if len(self.text) > MAX_TEXT:
            raise InputError(f"an utterance of {len(self.text)} characters: at most {MAX_TEXT}")
        if self.audio is not None and self.audio.ndim != 1:
            raise InputError(f"audio of {self.audio.ndim} dimensions: mono samples wanted")
        _local_now(self.time_zone or _ZONE[self.lang])


@dataclass(frozen=True, slots=True)
class Understander:
    """Reads utterances. Holds no state between them: safe to share by all calls of a process.

    ``voice``: whether the emotion of the voice is read at all; off where a country's law forbids it or asks for a notice
    that was not given. ``classifier``: a trained voice model, over the rules of ``sentiment.voice``.
    """

    model: IntentModel
    voice: bool = True
    classifier: VoiceClassifier | None = None

    @classmethod
    def load(
        cls, model: Path | None = None, *, voice: bool = True, classifier: VoiceClassifier | None = None
    ) -> Understander:
        """With the model in the given folder, or the embedded one. Raises ``ModelError``."""
        return cls(IntentModel.load(model or DEFAULT_MODEL), voice, classifier)

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
        voice: bool | None = None,
    ) -> Understanding:
        """Understand one utterance.

        ``audio``: its sound, mono float32 in [-1, 1], shape ``(n,)`` at ``rate`` Hz. ``today``: the call's date in the
        borrower's ``time_zone`` (IANA; by default that of the language); by default the present. ``now``: the
        borrower's local time, for "in an hour". ``expects``: what the agent asked for, one of ``context.EXPECTS``.
        ``currency`` (ISO 4217) and ``amount_due`` are the loan's; ``payday`` the borrower's day of the month.
        ``baseline``: the caller's past turns; ``voice``: overrides the reader's own for this call.
        Raises ``InputError`` for a language, expectation, zone or audio that cannot be used.
        """
        request = Request(
            text, lang, audio, rate, today, time_zone, expects, currency, amount_due, now, baseline, payday, voice
        )
        return self.understand_many([request])[0]

    def understand_many(self, requests: Sequence[Request]) -> list[Understanding]:
        """Understand a batch, in order: for archives. The model reads ``_BATCH`` utterances of like length at once."""
        for request in requests:
            request.check()
        scored: list[Scores | None] = [None] * len(requests)
        order = sorted(range(len(requests)), key=lambda i: len(requests[i].text))
        for start in range(0, len(order), _BATCH):
            some = order[start : start + _BATCH]
            read = self.model.batch([(requests[i].text, requests[i].lang, requests[i].expects) for i in some])
            for i, scores in zip(some, read, strict=True):
                scored[i] = scores
        return [self._read(r, s) for r, s in zip(requests, scored, strict=True) if s is not None]

    def _read(self, r: Request, scored: Scores) -> Understanding:
        zone, today, now = r.time_zone or _ZONE[r.lang], r.today, r.now
        if today is None:
            now = now or _local_now(zone)
            today = now.date()
        folded = fold(r.text).text
        wanted = self.voice if r.voice is None else r.voice
        voice = read_voice(r.audio, r.rate, r.baseline, self.classifier) if r.audio is not None and wanted else None
        slot_context = SlotContext(
            today=today,
            now=now,
            expects=r.expects,
            currency=r.currency,
            amount_due=r.amount_due,
            payday=r.payday,
            past=context.reports_payment(r.text, r.lang)
            or (
                bool(_PAST[r.lang].search(folded)) and scored.intents["already_paid"] > scored.intents["promise_to_pay"]
            ),
            month_first=_month_first(r.lang, zone, r.currency),
        )
        slots = extract(r.text, r.lang, slot_context)
        intents = self._intents(r.text, r.lang, r.expects, scored, slots)
        emotion = fuse(folded, r.lang, scored.emotions, voice)
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
        self, text: str, lang: str, expects: str | None, scored: Scores, slots: dict[str, Slot]
    ) -> tuple[tuple[str, float], ...]:
        """Main intent first. Safety rules lead, then the context's reading of short answers, then the model."""
        if not any(c.isalnum() for c in text):
            return (("other", 0.0),)
        scores, reading = scored.intents, self.model.calibration.readings[lang]
        cleared = rules.cleared(text, lang)
        if sum(scores[k] for k in cleared) > _MISLED:
            scored, cleared = self._beside(text, lang, expects, scored, cleared)
            scores = scored.intents
        # What an idiom rules out leaves its probability to the others: a dare to sue is not "other" for being no lawsuit.
        left = max(sum(p for k, p in scores.items() if k not in cleared), 1e-9)
        ranked = sorted(((k, p / left) for k, p in scores.items() if k not in cleared), key=lambda item: -item[1])
        by_rule = rules.fired(text, lang, contradicted(scored.present))
        found: dict[str, float] = {name: max(RULE_CONFIDENCE, scores[name]) for name in by_rule}
        settled = not SAFETY.isdisjoint(found) or is_settled(ranked[0])
        by_context = context.read_in_context(text, lang, expects, slots, ranked[0][0])
        if by_context is not None and not found:
            found[by_context] = max(context.CONFIDENCE, scores[by_context])
        if not found:
            best, p = ranked[0]
            found[best if p >= reading.sure else "other"] = p
        if by_context is None:
            for name, p in sorted(scored.present.items(), key=lambda item: -item[1]):
                bar = reading.safety if name in SAFETY and not settled else reading.further
                if name != "other" and name not in cleared and p >= bar:
                    found.setdefault(name, p)
        heard = {k for k, p in scored.present.items() if p >= _UNHEARD} - cleared - found.keys() - _SMALL_TALK
        if heard:  # most utterances have nothing more to look for, and spare the second reading
            for name, p in self._clauses(text, lang):
                if name in heard:
                    found.setdefault(name, p)
        main, *rest = found.items()
        return (main, *sorted(rest, key=lambda item: -item[1]))

    def _beside(
        self, text: str, lang: str, expects: str | None, scored: Scores, cleared: frozenset[str]
    ) -> tuple[Scores, frozenset[str]]:
        """The model was misled by a look-alike: what stands beside it is read alone, if it is enough to read."""
        rest = rules.without_alike(text, lang)
        size = len(rest.replace(" ", "")) if lang == "zh" else len(rest)
        if size < _LEAST_CLAUSE[lang] or rest == text:
            return scored, cleared
        again = self.model.scores(rest, lang, expects)
        doubted = frozenset(k for k in cleared if again.intents[k] < _CLEAR)
        return Scores(again.intents, scored.emotions, again.present), doubted

    def _clauses(self, text: str, lang: str) -> list[tuple[str, float]]:
        """What the single clauses of a punctuated utterance clearly want: a further wish may drown in the whole."""
        clauses = [c for c in _CLAUSE_END.split(text) if len(c.strip()) >= _LEAST_CLAUSE[lang]][:_MOST_CLAUSES]
        out: list[tuple[str, float]] = []
        if len(clauses) > 1:
            for scored in self.model.batch([(clause, lang, None) for clause in clauses]):
                best = max(scored.intents, key=lambda k: scored.intents[k])
                if best not in _SMALL_TALK and scored.intents[best] >= _CLEAR:
                    out.append((best, scored.intents[best]))
        return out
