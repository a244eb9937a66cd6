"""One call in one row: writing what lists, charts and search read. Reading it: :mod:`archive.queries`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.flagging import reason_kind, severity_rank
from archive.models import Call, CallText, Event, Flag, Summary, SummaryReason, SummaryRule, Turn, VerdictRow
from archive.promises import look_again
from archive.tokens import index_tokens

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EMOTIONS = ("positive", "anxious", "sad", "frustrated", "angry")
VERIFIED_ENDS = frozenset(
    {"promise_to_pay", "plan_requested", "paid_claimed", "refused", "disputed", "callback_booked"}
)
"""Outcomes that only the borrower can bring about."""


def doc_of(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(doc: int) -> datetime:
    """When the call of a ``doc`` started, to a few microseconds."""
    return _EPOCH + timedelta(microseconds=doc)


def write_summary(
    session: Session,
    call: Call,
    turns: Sequence[Turn],
    verdicts: Sequence[VerdictRow],
    events: Sequence[Event],
    flags: Sequence[Flag],
) -> int:
    """Make or renew the call's summary, its reasons and its searchable text; returns its ``doc``.

    A renewed summary keeps its ``doc``, what reviewers did, and what became of its promise.
    """
    old = session.execute(sa.select(Summary.doc, Summary.review).where(Summary.call_id == call.id)).first()
    doc = old.doc if old is not None else _free(session, doc_of(call.started_at))
    values = summary_values(call, turns, verdicts, events, flags)
    if old is not None and old.review == "done":
        values["review"] = "done"
    if old is None:
        session.execute(sa.insert(Summary), [{"doc": doc, **values}])
    else:
        session.execute(sa.update(Summary).where(Summary.doc == doc).values(**values))
        for model in (SummaryReason, SummaryRule):
            session.execute(sa.delete(model).where(model.doc == doc))
        session.execute(sa.delete(CallText).where(CallText.doc == doc))
    worst: dict[str, int] = {}
    for flag in flags:
        kind = reason_kind(flag.reason)
        worst[kind] = max(worst.get(kind, 0), severity_rank(flag.severity))
    if worst:
        rows = [
            {"reason": kind, "doc": doc, "severity": severity, "review": values["review"]}
            for kind, severity in worst.items()
        ]
        session.execute(sa.insert(SummaryReason), rows)
    rules = Counter(
        (str(hit.get("id", "?")), v.decision, str(hit.get("category", "")))
        for v in verdicts
        if v.decision != "allow"
        for hit in {hit.get("id"): hit for hit in v.rules}.values()
    )
    if rules:
        counted: dict[tuple[str, str], dict[str, Any]] = {}
        for (rule, decision, category), times in rules.items():
            row = {"rule": rule, "doc": doc, "decision": decision, "category": category, "times": 0}
            counted.setdefault((rule[:128], decision), row)["times"] += times
        session.execute(sa.insert(SummaryRule), list(counted.values()))
    session.execute(sa.insert(CallText), [{"doc": doc, "tokens": text_of(turns)}])
    if call.disposition == "promise_to_pay" and call.case_id is not None:
        look_again(session, [call.case_id])
    return doc


def summary_values(
    call: Call,
    turns: Sequence[Turn],
    verdicts: Sequence[VerdictRow],
    events: Sequence[Event],
    flags: Sequence[Flag],
) -> dict[str, Any]:
    """The summary's columns but ``doc`` and those of its promise. What a machine said is nobody's word or mood."""
    machine = call.disposition == "voicemail"
    theirs = [t for t in turns if t.who == "borrower" and not machine and t.intent != "voicemail"]
    begun, ended = call.answered_at or call.started_at, call.ended_at
    seconds = max(0.0, (ended - begun).total_seconds()) if ended is not None else 0.0
    intents = {t.intent for t in theirs} | {i.get("intent") for t in theirs for i in t.intents}
    kinds = {reason_kind(f.reason) for f in flags}
    restricted = {str(e.payload.get("reason")) for e in events if e.kind == "contact_restricted"}
    parties = {e.payload.get("party") for e in events if e.kind == "party"}
    return {
        "call_id": call.id,
        "lang": call.lang,
        "status": call.status,
        "disposition": call.disposition,
        "scenario": call.scenario,
        "campaign": call.campaign,
        "script_id": call.script_id,
        "stage": call.stage,
        "review": "open" if flags else "none",
        "severity": max((severity_rank(f.severity) for f in flags), default=0),
        "flags": len(flags),
        "seconds": seconds,
        "turns": len(turns),
        "borrower_turns": len(theirs),
        "valence_sum": sum(t.valence or 0.0 for t in theirs),
        "arousal_sum": sum(t.arousal or 0.0 for t in theirs),
        **{name: sum(t.emotion == name for t in theirs) for name in EMOTIONS},
        "refusals": sum(v.decision in ("refuse", "escalate", "end_call") for v in verdicts),
        "right_party": "borrower" in parties or call.disposition in VERIFIED_ENDS,
        "opt_out": call.disposition == "stop_contact" or "stop_contact" in restricted,
        "complaint": "complain" in intents or bool(kinds & {"complain", "complaint"}),
        "gap_p95_ms": call.response_gap_p95_ms,
    }


def text_of(turns: Sequence[Turn]) -> str:
    """What both sides said, as tokens; of an interrupted line, what was audible."""
    return index_tokens("\n".join(t.text if t.heard_text is None else t.heard_text for t in turns))


def _free(session: Session, doc: int) -> int:
    while session.scalar(sa.select(Summary.doc).where(Summary.doc == doc)) is not None:
        doc += 1
    return doc
