"""Simulated calls for the console's lists and charts: what the simulator's people say, without sound or waiting.

The words are those of the simulator's scenarios and of the labelled corpus; dialogue, understanding and gate are the
real ones, so outcomes, emotions, verdicts and flags are what a call with these words would have had. Invented are the
moments, the lengths (from a speaking rate) and the response gaps. Every call names its scenario and a campaign that
begins with "demo", so nobody takes it for a real one. (Here and not in ``console``, which never sees the runtime.)
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent import dialogue as d
from agent.case import CaseFile, demo_case
from agent.desk import SCRIPT
from agent.events import Heard, Lang, Proposed, SlotValue, Span, Understood, Verdict
from agent.following import SEVERITY
from agent.telephony.simulator.scenario import SCENARIOS, Step, load_scenario
from compliance_checks.gate import Gate
from scripts.loader import load_script
from scripts.schema import Script
from sentiment.understand import Understander

DAYS = 14
MAX_TURNS = 60
CAMPAIGNS: Mapping[Lang, tuple[str, ...]] = {
    "zh": ("demo 十一月提醒", "demo 消费贷到期", "demo 回访"),
    "en": ("demo November reminders", "demo personal loans", "demo follow-up"),
}
WEIGHTS: Mapping[str, float] = {
    "promise": 24, "hardship": 9, "already_paid": 7, "wrong_number": 6, "family_member": 6, "robot_question": 5,
    "angry_stop": 4, "wants_human": 4, "voicemail": 15, "silence": 4, "crisis": 1, "barge_in": 5, "hang_up": 6,
    "dispute": 4, "refuses": 5,
}  # fmt: skip
"""How often each scenario is drawn. Invented."""
_NAMES: Mapping[Lang, tuple[str, ...]] = {
    "zh": ("王小燕", "李建国", "陈思远", "赵丽", "周文", "吴晓东", "郑海", "孙悦", "马超然", "胡静"),
    "en": ("Jordan Lee", "Sam Carter", "Taylor Brooks", "Robin Hayes", "Casey Jones", "Morgan Reed", "Jamie Fox"),
}
_ASIDES = ("ask_who", "ask_if_robot", "ask_details", "suspect_scam", "complain", "dispute_amount", "hardship",
           "refuse_to_pay", "abuse", "callback_later", "ask_how_to_pay", "request_human", "repeat_request")  # fmt: skip
_ASIDE = 0.35
"""Share of people who say something of their own before they answer."""
_RATE: Mapping[Lang, float] = {"zh": 4.6, "en": 15.0}
"""Characters a second, about what the demo's voices speak."""
_HOURS = tuple(range(9, 20))
_HOUR_WEIGHTS = (5, 9, 10, 6, 3, 6, 9, 10, 8, 7, 5)
_NAMESPACE = uuid.UUID("6f0c5a1e-93c8-4b8e-8d0e-5eed5eed5eed")


@dataclass(frozen=True, slots=True)
class Seeded:
    """One simulated call as rows of the archive: ``call`` the call's columns, ``rows`` by table, each row with its
    ``seq`` and ``at`` or ``start`` in seconds since answer."""

    call: Mapping[str, Any]
    rows: Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(slots=True)
class _Call:
    """A call while it is played: what was recorded, and where its clock stands."""

    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"verdicts": [], "turns": [], "events": [], "flags": []}
    )
    now: float = 0.4
    gaps: list[float] = field(default_factory=list)
    expects: Any = "identity"
    spoke: bool = False
    ending: str | None = None
    promise: tuple[Any, Decimal] | None = None

    def add(self, table: str, **values: Any) -> int:
        self.rows[table].append({"seq": len(self.rows[table]), **values})
        return len(self.rows[table]) - 1


class Simulator:
    """Plays calls by words alone. Deterministic in ``seed`` for the same models, scripts and packs."""

    def __init__(self, understander: Understander, gate: Gate, until: datetime, seed: int = 5) -> None:
        """``until`` (aware): the calls lie in the ``DAYS`` days before its date."""
        self._understander, self._gate, self._until, self._seed = understander, gate, until, seed
        self._scripts: dict[Lang, Script] = {
            "zh": load_script(SCRIPT, "zh", until), "en": load_script(SCRIPT, "en", until),
        }  # fmt: skip
        self._read = lru_cache(maxsize=50_000)(self._understand)

    def call(self, number: int) -> Seeded:
        """The call with this number; the same number always has the same id."""
        rng = random.Random(f"{self._seed}:{number}")
        lang: Lang = "zh" if rng.random() < 0.62 else "en"
        scenario = rng.choices(SCENARIOS, [WEIGHTS[name] for name in SCENARIOS])[0]
        case = _case(lang, rng, self._until)
        started = _moment(rng, self._until, ZoneInfo(case.time_zone))
        today = started.astimezone(ZoneInfo(case.time_zone)).date()
        case = replace(case, due_date=today - timedelta(days=case.days_past_due))
        script = self._scripts[lang]
        play = _Call()
        state, disposition = self._play(play, d.Dialogue(script, case, today), scenario, rng)
        answered = started + timedelta(seconds=rng.uniform(4, 18))
        gaps = sorted(play.gaps)
        person = f"demo-{lang}-{rng.randrange(10**6):06d}"
        values = {
            "id": str(uuid.uuid5(_NAMESPACE, f"{self._seed}:{number}")),
            "lang": lang, "status": "ended", "scenario": scenario, "campaign": rng.choice(CAMPAIGNS[lang]),
            "case_id": f"case-{person}", "person_id": person, "stage": "days 1-15",
            "script_id": script.id, "script_hash": script.content_hash, "policy": state.policy,
            "policy_hash": next((v["policy_hash"] for v in play.rows["verdicts"] if v["policy_hash"]), None),
            "models": {"simulator": "words only"}, "started_at": started, "answered_at": answered,
            "ended_at": answered + timedelta(seconds=play.now), "disposition": disposition,
            "promise_date": play.promise[0] if play.promise else None,
            "promise_amount": play.promise[1] if play.promise else None,
            "promise_currency": case.currency if play.promise else None, "recording": None,
            "response_gap_p50_ms": _percentile(gaps, 0.5), "response_gap_p95_ms": _percentile(gaps, 0.95),
            "response_gap_n": len(gaps),
        }  # fmt: skip
        for rows in play.rows.values():
            for row in rows:
                at = row.get("at", row.get("end", 0.0))
                row |= {"call_id": values["id"], "recorded_at": answered + timedelta(seconds=at)}
        return Seeded(values, play.rows)

    # one call --------------------------------------------------------------------------------------------------

    def _play(self, play: _Call, dialogue: d.Dialogue, scenario: str, rng: random.Random) -> tuple[d.State, str]:
        lang = dialogue.script.lang
        lines = load_scenario(scenario, lang, {
            "borrower_name": dialogue.case.borrower_name, "id_last4": dialogue.case.id_last4,
            "amount_due": dialogue.case.amount_due, "min_payment": dialogue.case.min_payment,
        })  # fmt: skip
        state, actions = dialogue.start()
        steps, aside = list(lines.steps), rng.random() < _ASIDE
        if scenario == "voicemail":
            self._heard(play, dialogue, rng.choice(steps.pop(0).say), rng)
            state, actions = dialogue.step(state, d.MachineDetected())
        state = self._do(play, dialogue, state, actions, rng)
        fallback = list(lines.fallback)[:2]
        while play.ending is None and len(play.rows["turns"]) < MAX_TURNS:
            step = steps.pop(0) if steps else None
            if aside and step is not None and step.say and play.expects not in ("identity", "digits"):
                aside, event = False, self._heard(play, dialogue, _aside(lang, rng), rng)
                steps.insert(0, step)
                state = self._step(play, dialogue, state, event, rng)
            elif step is not None:
                state = self._act(play, dialogue, state, step, rng)
            elif fallback:
                state = self._step(play, dialogue, state, self._heard(play, dialogue, fallback.pop(0), rng), rng)
            elif scenario == "silence":
                play.now += 8.0
                state = self._step(play, dialogue, state, d.Silence(8.0), rng)
            else:
                state = self._step(play, dialogue, state, d.HungUp(), rng)
        return state, play.ending or "hung_up"

    def _act(self, play: _Call, dialogue: d.Dialogue, state: d.State, step: Step, rng: random.Random) -> d.State:
        if step.dtmf:
            for digit in step.dtmf:
                play.now += 0.4
                play.add("events", at=play.now, kind="digit", payload={})
                state = self._step(play, dialogue, state, d.Dtmf(digit), rng)
        elif step.say:
            event = self._heard(play, dialogue, rng.choice(step.say), rng, cut=step.cut_after_s)
            if step.hang_up:
                return self._step(play, dialogue, state, d.HungUp(), rng)
            if step.after_speech_s is not None:
                self._interrupt(play, rng)
            state = self._step(play, dialogue, state, event, rng)
        elif step.silent_s:
            play.now += 8.0
            state = self._step(play, dialogue, state, d.Silence(8.0), rng)
        return self._step(play, dialogue, state, d.HungUp(), rng) if step.hang_up and play.ending is None else state

    def _interrupt(self, play: _Call, rng: random.Random) -> None:
        """The agent's last line was cut short by what was said next."""
        line = next((t for t in reversed(play.rows["turns"]) if t["who"] == "agent"), None)
        if line is None or line["line_id"] is None:
            return
        heard = line["text"][: max(2, int(len(line["text"]) * rng.uniform(0.3, 0.7)))]
        line |= {"interrupted": True, "heard_text": heard}
        play.add("events", at=line["end"], kind="barge_in", payload={})

    def _heard(
        self, play: _Call, dialogue: d.Dialogue, text: str, rng: random.Random, cut: float | None = None
    ) -> Understood:
        lang = dialogue.script.lang
        start = play.now + rng.uniform(0.3, 1.4)
        length = max(0.5, len(text) / _RATE[lang] * rng.uniform(0.9, 1.2))
        if cut is not None and cut < length:
            text, length = text[: max(2, int(len(text) * cut / length))], cut
        read = self._read(text, lang, dialogue.today, play.expects, dialogue.case.amount_due, dialogue.case.currency)
        heard = Heard(text, lang, Span(start, start + length), (), round(min(0.99, rng.gauss(0.9, 0.09)), 3))
        play.now, play.spoke = start + length, True
        play.add(
            "turns", who="borrower", start=start, end=play.now, text=text, heard_text=None, words=[],
            confidence=heard.confidence, intent=read.intent,
            intents=[{"intent": name, "confidence": p} for name, p in read.intents], slots=dict(read.slots),
            emotion=read.emotion, scores=dict(read.scores), arousal=read.arousal, valence=read.valence, line_id=None,
            script_hash=None, verdict_seq=None, interrupted=False, response_gap_ms=None,
        )  # fmt: skip
        return replace(read, heard=heard)

    def _understand(self, text: str, lang: Lang, today: Any, expects: Any, due: Decimal, currency: str) -> Understood:
        u = self._understander.understand(
            text, lang, today=today, expects=expects, amount_due=due, currency=currency,
            now=datetime.combine(today, time(10, 30)),
        )  # fmt: skip
        slots = {k: SlotValue(s.value, s.text, s.start, s.end, tuple(s.candidates)) for k, s in u.slots.items()}
        heard = Heard(text, lang, Span(0.0, 0.0))
        return Understood(
            heard, u.intent, u.confidence, tuple(u.intents), slots, u.emotion, dict(u.scores), u.arousal, u.valence
        )

    def _step(self, play: _Call, dialogue: d.Dialogue, state: d.State, event: d.Event, rng: random.Random) -> d.State:
        state, actions = dialogue.step(state, event)
        return self._do(play, dialogue, state, actions, rng)

    def _do(
        self, play: _Call, dialogue: d.Dialogue, state: d.State, actions: Sequence[d.Action], rng: random.Random
    ) -> d.State:
        """Carry out a step's actions as the pipeline does; a refusal puts its answer in the place of the rest."""
        waiting = list(actions)
        ending: str | None = None
        while waiting:
            action = waiting.pop(0)
            if isinstance(action, d.Say):
                verdict, _ = self._gate.approve(action.proposed, state.facts(dialogue.case), dialogue.script)
                number = self._judged(play, action.proposed, verdict)
                if verdict.decision != "allow":
                    play.add("flags", at=play.now, reason="refused utterance", severity="critical")
                    state, instead = dialogue.step(state, d.LineRefused(action.proposed.line_id, verdict))
                    waiting, ending = list(instead), None
                    continue
                self._spoken(play, action.proposed, number, rng)
                state, _ = dialogue.step(state, d.LineSpoken(action.proposed.line_id, complete=True))
            elif isinstance(action, d.Listen):
                play.expects, ending = action.expects, None
            elif isinstance(action, d.EndCall):
                ending = action.disposition
            else:
                self._noted(play, action)
        if ending is not None:
            play.ending = ending
        return state

    def _judged(self, play: _Call, proposed: Proposed, verdict: Verdict) -> int:
        return play.add(
            "verdicts", at=play.now, decision=verdict.decision, rules=list(verdict.rules), proposed=proposed.text,
            text=verdict.text, line_id=proposed.line_id, script_hash=verdict.script_hash or proposed.script_hash,
            policy_hash=verdict.policy_hash or None,
        )  # fmt: skip

    def _spoken(self, play: _Call, proposed: Proposed, verdict: int, rng: random.Random) -> None:
        gap = min(3.0, rng.lognormvariate(-0.45, 0.3)) if play.spoke else None
        start = play.now + (gap if gap is not None else 0.15)
        end = start + len(proposed.text) / _RATE[proposed.lang]
        if gap is not None:
            play.gaps.append(round(gap * 1000, 1))
        play.add(
            "turns", who="agent", start=start, end=end, text=proposed.text, heard_text=None, words=[], confidence=None,
            intent=None, intents=[], slots={}, emotion=None, scores={}, arousal=None, valence=None,
            line_id=proposed.line_id, script_hash=proposed.script_hash, verdict_seq=verdict, interrupted=False,
            response_gap_ms=None if gap is None else round(gap * 1000, 1),
        )  # fmt: skip
        play.now, play.spoke = end, False

    def _noted(self, play: _Call, action: d.Action) -> None:
        at = play.now
        payload: dict[str, Any]
        if isinstance(action, d.RecordPromise):
            play.promise = (action.date, action.amount)
            payload = {"date": action.date.isoformat(), "amount": str(action.amount)}
            play.add("events", at=at, kind="promise_recorded", payload=payload)
        elif isinstance(action, d.Transfer):
            payload = {"reason": action.reason, "urgent": action.urgent}
            play.add("events", at=at, kind="transfer_requested", payload=payload)
        elif isinstance(action, d.Restrict):
            play.add("events", at=at, kind="contact_restricted", payload={"reason": action.reason})
        elif isinstance(action, d.Flag):
            play.add("flags", at=at, reason=action.reason, severity=SEVERITY[action.severity])
        elif isinstance(action, d.SetParty):
            play.add("events", at=at, kind="party", payload={"party": action.party})
        elif isinstance(action, d.Note):
            play.add("events", at=at, kind="note", payload={"key": action.key})


def _case(lang: Lang, rng: random.Random, until: datetime) -> CaseFile:
    due = Decimal(rng.randrange(6, 90)) * (100 if lang == "zh" else 10)
    return replace(
        demo_case(lang, until.date()), borrower_name=rng.choice(_NAMES[lang]), amount_due=due, min_payment=due / 10,
        id_last4=f"{rng.randrange(10**4):04d}", days_past_due=rng.randrange(1, 16),
    )  # fmt: skip


def _moment(rng: random.Random, until: datetime, zone: ZoneInfo) -> datetime:
    """Within lawful hours of the borrower's day; more calls on working days and around 11 and 16 o'clock."""
    last = until.astimezone(zone).date() - timedelta(days=1)
    days = [last - timedelta(days=n) for n in range(DAYS)]
    day = rng.choices(days, [1.0 if each.weekday() < 5 else 0.35 for each in days])[0]
    hour = rng.choices(_HOURS, _HOUR_WEIGHTS)[0]
    local = datetime.combine(day, time(hour, rng.randrange(60), rng.randrange(60), rng.randrange(10**6)), zone)
    return local.astimezone(UTC)


@lru_cache(maxsize=2)
def _corpus(lang: Lang) -> Mapping[str, Sequence[str]]:
    from sentiment import corpus

    found: dict[str, list[str]] = {}
    for line in (Path(corpus.__file__).parent / "hand.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["lang"] == lang and row["intent"] in _ASIDES:
            found.setdefault(row["intent"], []).append(row["text"])
    return found


def _aside(lang: Lang, rng: random.Random) -> str:
    said = _corpus(lang)
    return rng.choice(said[rng.choice(sorted(said))])


def _percentile(gaps: Sequence[float], share: float) -> float | None:
    if not gaps:
        return None
    place = share * (len(gaps) - 1)
    low, rest = int(place), place - int(place)
    high = min(low + 1, len(gaps) - 1)
    return round(gaps[low] * (1 - rest) + gaps[high] * rest, 1)
