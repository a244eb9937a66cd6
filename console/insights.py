"""The figures of one call, computed from its archived turns by ``sentiment.analytics``.

A live call and an imported recording lie in the archive alike, so both are computed here, by the same formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archive.models import Call, Turn
from sentiment.analytics import CallAnalytics, CallTurn, analyze
from sentiment.labels import UNKNOWN

_AGREES = frozenset({"affirm", "promise_to_pay"})


def insights(call: Call, turns: Sequence[Turn], seconds: float) -> CallAnalytics:
    """``seconds``: the call's length. A turn whose emotion was not read counts as ``unknown``."""
    # The script records a promise only once its read-back was agreed to: the last agreement was that one.
    agreed = None
    if call.promise_date is not None and call.disposition == "promise_to_pay" and call.script_id is not None:
        agreed = next((t.seq for t in reversed(turns) if t.who == "borrower" and t.intent in _AGREES), None)
    return analyze([_turn(t, t.seq == agreed) for t in turns], end=seconds, disposition=call.disposition)


def _turn(turn: Turn, confirmed: bool) -> CallTurn:
    if turn.who == "agent":
        heard = turn.text if turn.heard_text is None else turn.heard_text
        return CallTurn("agent", turn.start, turn.end, heard, turn.line_id)
    intents = {str(i.get("intent")): float(i.get("confidence") or 0.0) for i in turn.intents or []}
    if turn.intent is not None:
        intents.setdefault(turn.intent, 1.0)
    scores = {name: p for name, p in (turn.scores or {}).items() if p is not None}
    slots = turn.slots or {}
    return CallTurn(
        "borrower",
        turn.start,
        turn.end,
        turn.text,
        intents=intents,
        emotion=turn.emotion if turn.emotion is not None and scores else UNKNOWN.key,
        scores=scores,
        arousal=turn.arousal or 0.0,
        valence=turn.valence or 0.0,
        date=_value(slots, "date"),
        amount=_value(slots, "amount"),
        confirmed=confirmed,
    )


def _value(slots: Mapping[str, Any], name: str) -> str | None:
    found = slots.get(name)
    value = found.get("value") if isinstance(found, dict) else found
    return str(value) if value else None
