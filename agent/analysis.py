"""A recorded call, read afterwards: who said what, what the borrower wanted and felt, what the agent should not have
said.

The gate judges every sentence of the agent's as it would one of the program's own; for a person's words that were
spoken long ago its refusals are findings. Emotion is read from the borrower alone: inferring that of employees is
never done, so nothing is read from anybody while it is unclear who is who.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from agent.analysis_roles import Role, Roles, Utterance, find_roles
from agent.events import CallFacts, Expects, Lang, Party, RuleHit, Verdict
from archive.models import Severity
from asr.audiofile import Recording
from asr.batch import Row
from compliance_checks.gate import Gate
from sentiment.understand import Understander, Understanding
from sentiment.voice import VoiceBaseline

AgentKind = Literal["human", "ai"]

_CANNOT_JUDGE = ("gate", "injection")
"""Categories by which the gate says that it could not read a sentence: no finding about the speaker."""
_OF_PROGRAMS = frozenset({"pretending_human"})
"""Categories that only a program can be guilty of."""
_CRITICAL = frozenset({"threat", "crisis", "impersonation"})
_WANTS: Mapping[str, tuple[str, Severity]] = {
    "crisis": ("crisis", "critical"),
    "deceased_or_incapacitated": ("deceased or incapacitated", "high"),
    "legal_representation": ("legal representation", "high"),
    "stop_contact": ("asked not to be contacted", "high"),
    "dispute_debt": ("debt disputed", "high"),
    "complain": ("complaint", "high"),
    "suspect_scam": ("took the call for fraud", "medium"),
    "request_human": ("asked for a human", "medium"),
    "dispute_amount": ("amount disputed", "medium"),
    "abuse": ("abuse of the agent", "medium"),
}
_OWN_DEBT = frozenset(
    ("promise_to_pay", "already_paid", "hardship", "request_plan", "dispute_amount", "refuse_to_pay", "ask_how_to_pay")
)
"""Intents by which somebody speaks of the debt as their own."""
_ASKS: Mapping[Lang, Sequence[tuple[Expects, re.Pattern[str]]]] = {
    "zh": (
        ("identity", re.compile(r"(?:请问)?(?:您|你)?是.{1,8}(?:先生|女士|小姐|本人|吗)|本人吗")),
        ("digits", re.compile(r"后四位|身份证")),
        ("amount", re.compile(r"多少钱|还多少|多少呢|金额")),
        ("date", re.compile(r"什么时候|哪天|几号|何时")),
        ("yes_no", re.compile(r"吗|能不能|可以.{0,2}$|好不好|行不行")),
    ),
    "en": (
        ("identity", re.compile(r"\b(?:am i speaking|may i speak|is this (?:mr|mrs|ms|miss)\b)")),
        ("digits", re.compile(r"\blast (?:four|4)\b|\bsocial security\b")),
        ("amount", re.compile(r"\bhow much\b|\bwhat amount\b")),
        ("date", re.compile(r"\bwhen\b|\bwhat (?:day|date)\b|\bwhich day\b")),
        ("yes_no", re.compile(r"^(?:can|could|will|would|do|did|are|is|have)\b|\?\s*$")),
    ),
}


@dataclass(frozen=True, slots=True)
class AnalysedTurn:
    """One utterance. ``understood`` is the borrower's, without emotion where ``emotion`` is false; ``verdict`` the
    agent's, given that the gate could read it."""

    who: Role
    row: Row
    expects: Expects | None = None
    understood: Understanding | None = None
    emotion: bool = False
    party: Party = "unverified"
    verdict: Verdict | None = None

    @property
    def findings(self) -> tuple[RuleHit, ...]:
        """Rules that the agent's sentence broke."""
        return self.verdict.rules if self.verdict is not None else ()


@dataclass(frozen=True, slots=True)
class CallFlag:
    """A reason for a reviewer to look, ``at`` seconds into the call."""

    reason: str
    severity: Severity
    at: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """A whole call. ``lang`` is that of most of its words."""

    lang: Lang
    roles: Roles
    turns: tuple[AnalysedTurn, ...]
    flags: tuple[CallFlag, ...]
    seconds: float
    channels: int

    @property
    def found_something(self) -> bool:
        """Whether there is anything for a reviewer."""
        return bool(self.flags) or any(turn.findings for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is known of a recorded call beside its sound.

    ``party`` None: found out as the call goes. ``agent_channel`` fixes which channel is the agent's. ``agent``: a
    person, or a program (which must not pass for a person). ``facts`` is the case file, as for the gate.
    """

    party: Party | None = None
    agent_channel: int | None = None
    agent: AgentKind = "human"
    policy: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    today: date | None = None


def analyse(
    recording: Recording, rows: Sequence[Row], understander: Understander, gate: Gate, known: Assumptions
) -> Analysis:
    """Read a transcribed call. ``rows`` as ``BatchTranscription`` gives them for ``recording``."""
    voices = [_voice(row) for row in rows]
    if known.agent_channel is not None and any(row.channel is not None for row in rows):
        of: dict[int, Role] = {v: "agent" if v == known.agent_channel else "borrower" for v in voices}
        roles = Roles(of, 1.0)
    else:
        said = [Utterance(voice, row.text, row.lang) for voice, row in zip(voices, rows, strict=True)]
        roles = find_roles(said, house_channels=any(row.channel is not None for row in rows))
    turns: list[AnalysedTurn] = []
    party: Party = known.party or "unverified"
    baseline = VoiceBaseline()
    expects: Expects | None = None
    for voice, row in zip(voices, rows, strict=True):
        if roles.of[voice] == "agent":
            expects = asked(row.text, row.lang)
            turns.append(AnalysedTurn("agent", row, expects, party=party, verdict=_judged(gate, row, party, known)))
            continue
        audio = recording.read(row.channel, row.start, row.end) if roles.sure else None
        understood = understander.understand(
            row.text, row.lang, audio=audio, rate=recording.rate, expects=expects, today=known.today, baseline=baseline
        )
        if understood.voice is not None:
            baseline = baseline.updated(understood.voice)
        turns.append(AnalysedTurn("borrower", row, expects, understood, roles.sure, party))
        if known.party is None:
            party = _party_after(party, understood, expects)
    words = Counter({"zh": 0, "en": 0})
    for row in rows:
        words[row.lang] += max(1, len(row.words))
    lang: Lang = "zh" if words["zh"] >= words["en"] else "en"
    return Analysis(lang, roles, tuple(turns), _flags(turns, roles), recording.seconds, recording.channels)


def asked(text: str, lang: Lang) -> Expects | None:
    """What an agent's utterance asks for, by its wording; None where it asks nothing that is recognised."""
    plain = text.strip().lower()
    return next((expects for expects, pattern in _ASKS[lang] if pattern.search(plain)), None)


def _voice(row: Row) -> int:
    if row.channel is not None:
        return row.channel
    return row.speaker or 0


def _judged(gate: Gate, row: Row, party: Party, known: Assumptions) -> Verdict | None:
    """The gate's verdict; None where it could only say that it cannot read the sentence."""
    verdict = gate.judge(row.text, CallFacts(row.lang, party, known.policy, dict(known.facts)))
    own = tuple(
        hit
        for hit in verdict.rules
        if hit.category not in _CANNOT_JUDGE and not (known.agent == "human" and hit.category in _OF_PROGRAMS)
    )
    if own == verdict.rules:
        return verdict
    if own:
        return Verdict(verdict.decision, verdict.text, own, verdict.policy_hash)
    only_unreadable = any(hit.category in _CANNOT_JUDGE for hit in verdict.rules)
    return None if only_unreadable else Verdict("allow", row.text, (), verdict.policy_hash)


def _party_after(party: Party, understood: Understanding, expects: Expects | None) -> Party:
    """Who is on the line, once this was said. A later denial counts too: telephones are handed over."""
    if understood.intent == "voicemail":
        return "voicemail"
    if understood.intent in ("deny_identity", "third_party"):
        return "third_party"
    confirms = understood.intent == "confirm_identity" or (expects == "identity" and understood.intent == "affirm")
    if confirms or understood.intent in _OWN_DEBT:
        return "borrower"
    return party


def _flags(turns: Sequence[AnalysedTurn], roles: Roles) -> tuple[CallFlag, ...]:
    """One flag for each reason, at its first moment; of equal reasons the gravest."""
    found: list[CallFlag] = []
    if turns and not roles.sure:
        found.append(CallFlag("agent and borrower not told apart for sure", "low", turns[0].row.start))
    for turn in turns:
        for hit in turn.findings:
            severity: Severity = "critical" if hit.category in _CRITICAL else "high"
            found.append(CallFlag(f"agent: {hit.category}", severity, turn.row.start))
        if turn.understood is not None:
            for intent, _ in turn.understood.intents:
                if intent in _WANTS:
                    found.append(CallFlag(*_WANTS[intent], turn.row.start))
    kept: dict[str, CallFlag] = {}
    for flag in found:
        kept.setdefault(flag.reason, flag)
    return tuple(kept.values())
