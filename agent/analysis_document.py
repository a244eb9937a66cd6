"""An analysis as the JSON document of ``callgate analyze``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.analysis import AnalysedTurn, Analysis
from agent.events import RuleHit
from sentiment.analytics import CallAnalytics, CallTurn, analyze


def document(path: Path, analysis: Analysis, call_id: str | None) -> dict[str, Any]:
    """Everything found in the call. ``findings`` and ``flags`` repeat what stands at the turns, in one list each."""
    turns = [_turn(turn) for turn in analysis.turns]
    findings = [
        {"turn": i, "start": t["start"], "end": t["end"], "text": t["text"], "decision": t["verdict"], **rule}
        for i, t in enumerate(turns)
        for rule in t.get("rules", ())
    ]
    return {
        "file": str(path),
        "call_id": call_id,
        "lang": analysis.lang,
        "seconds": round(analysis.seconds, 2),
        "channels": analysis.channels,
        "speakers": _speakers(analysis),
        "turns": turns,
        "findings": findings,
        "figures": figures(analysis).as_dict(),
        "flags": [{"reason": f.reason, "severity": f.severity, "at": round(f.at, 2)} for f in analysis.flags],
    }


def figures(analysis: Analysis) -> CallAnalytics:
    """The call's figures, by the formulas that a live call's page shows."""
    turns = []
    for turn in analysis.turns:
        row, u = turn.row, turn.understood
        who = turn.who
        if u is None:
            turns.append(CallTurn(who, row.start, row.end, row.text))
            continue
        date, amount = u.slots.get("date"), u.slots.get("amount")
        felt: dict[str, Any] = (
            {"emotion": u.emotion, "scores": u.scores, "arousal": u.arousal, "valence": u.valence}
            if turn.emotion
            else {}
        )
        turns.append(
            CallTurn(
                who, row.start, row.end, row.text, intents=dict(u.intents),
                date=date.value if date is not None else None, amount=amount.value if amount is not None else None,
                **felt,
            )
        )  # fmt: skip
    return analyze(turns, end=analysis.seconds)


def _speakers(analysis: Analysis) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for voice, role in sorted(analysis.roles.of.items()):
        own = [
            t.row
            for t in analysis.turns
            if voice == (t.row.channel if t.row.channel is not None else t.row.speaker or 0)
        ]
        by_channel = any(row.channel is not None for row in own)
        who: dict[str, Any] = {"channel": voice} if by_channel else {"speaker": f"speaker_{voice + 1}"}
        speech = round(sum(row.end - row.start for row in own), 2)
        out.append({**who, "role": role, "confidence": round(analysis.roles.confidence, 3), "speech": speech})
    return out


def _turn(turn: AnalysedTurn) -> dict[str, Any]:
    out: dict[str, Any] = {"who": turn.who, **turn.row.as_dict()}
    if turn.who == "agent":
        out["verdict"] = turn.verdict.decision if turn.verdict is not None else None
        out["party"] = turn.party
        out["rules"] = [_rule(hit) for hit in turn.findings]
    elif turn.understood is not None:
        understood = turn.understood.as_dict()
        if not turn.emotion:
            understood |= {"emotion": None, "scores": {}, "arousal": None, "valence": None, "sources": {}}
        out |= understood | {"confidence": out["confidence"], "intent_confidence": understood["confidence"]}
    return out


def _rule(hit: RuleHit) -> dict[str, Any]:
    return {
        "id": hit.id,
        "category": hit.category,
        "clause": hit.clause,
        "review": hit.review,
        "explanation": dict(hit.explanation),
    }
