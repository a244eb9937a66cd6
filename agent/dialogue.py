"""The dialogue machine: (state, event) -> (state, actions). No IO, no clock, no randomness.

It walks a ``scripts.schema.Script``: a turn becomes a signal, the script's transition for that signal becomes
lines and effects. What must hold whatever a script says is here: one relay request, disclosures repeated if they
were cut short, a bound on turns, nothing after the end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from agent.case import CaseFile
from agent.dialogue_read import verify
from agent.dialogue_signals import RESTRICTING, overriding, signal_of
from agent.dialogue_types import (
    Action,
    Dtmf,
    EndCall,
    Event,
    Flag,
    HungUp,
    LineRefused,
    LineSpoken,
    Listen,
    MachineDetected,
    Note,
    NotHeard,
    RecordPromise,
    Restrict,
    Say,
    SetParty,
    Silence,
    State,
    Transfer,
)
from agent.events import Disposition, Proposed, Understood
from scripts.errors import RenderError
from scripts.render import fill
from scripts.schema import FLOORS, MANDATORY, LineUse, Script, Style, Transition

__all__ = [
    "Action", "Dialogue", "Dtmf", "EndCall", "Event", "Flag", "HungUp", "LineRefused", "LineSpoken", "Listen",
    "MachineDetected", "NotHeard", "Note", "RecordPromise", "Restrict", "Say", "SetParty", "Silence", "State",
    "Transfer",
]  # fmt: skip

Step = tuple[State, tuple[Action, ...]]

_UPSET = frozenset({"sad", "anxious", "frustrated", "angry"})
# Counted in a row, not over the call; hearing badly and understanding badly are one row.
_ROW = {"silence": "silence", "not_heard": "repair", "not_understood": "repair", "verify_partial": "repair"}
_ANGRY_TURNS = 2
"""Angry turns in a row after which a human takes over: a script that goes on makes it worse."""
_WENT_WELL = frozenset({"verify_ok", "promise_confirmed", "callback_ready"})
HANDED_OVER = frozenset({"human_handoff", "crisis_handoff"})


class Dialogue:
    """One call's dialogue over an approved script. ``today`` is the borrower's local date of the call."""

    def __init__(self, script: Script, case: CaseFile, today: date) -> None:
        self.script = script
        self.case = case
        self.today = today
        self._content = script.content
        self._of_case = {
            "has_min_payment": case.min_payment is not None,
            "has_callback_number": bool(case.call_back_number),
            "credit_report_due": case.credit_report_due,
            "lawsuit_filed": case.lawsuit_filed,
        }

    def start(self) -> Step:
        """The state at the moment the call is answered, and the first lines."""
        state = State(node=self._content.start, lang=self.script.lang, policy=self.script.policy)
        return self._speak(state, [], self._content.states[state.node].prompt)

    def step(self, state: State, event: Event) -> Step:
        """The next state and what to do. Deterministic; never raises for an event that may happen in a call."""
        if state.over:
            return state, ()
        if isinstance(event, Understood):
            return self._understood(state, event)
        if isinstance(event, LineSpoken):
            return self._spoken(state, event), ()
        if isinstance(event, LineRefused):
            return self._refused(state, event)
        if isinstance(event, HungUp):
            return self._hung_up(state)
        if state.closing:
            return state, ()
        if isinstance(event, Silence):
            reads = self._content.states[state.node].reads
            return self._signal(state, "machine_ended" if reads == "machine" else "silence")
        if isinstance(event, NotHeard):
            state = replace(state, turns=state.turns + 1, counts=_without(state.counts, "silence"))
            return self._signal(state, "too_long" if state.turns > self._content.limits.max_turns else "not_heard")
        if isinstance(event, MachineDetected):
            known = self._content.transitions(state.node, "machine")
            return self._signal(state, "machine") if known and state.party == "unverified" else (state, ())
        return self._key(state, event)

    def prerender(self) -> tuple[Proposed, ...]:
        """Every line that can be rendered before dialling, alternates included: what a prompt cache may prepare.

        A line that this case gives no cause to say is left out: the gate would refuse it, and rightly.
        """
        sayable = {line for line, when in self._content.uses() if all(map(self._possible, when))}
        state = State(node=self._content.start, lang=self.script.lang, policy=self.script.policy)
        rendered: dict[tuple[str, str], Proposed] = {}
        for plan in self.case.plans or (None,):
            for line_id, line in self._content.lines.items():
                if line_id not in sayable:
                    continue
                for style in (None, *line.alternates):
                    try:
                        proposed = self.propose(replace(state, plan=plan), line_id, style)
                    except RenderError:
                        continue  # needs something that only the call will tell
                    rendered.setdefault((line_id, proposed.text), proposed)
        return tuple(rendered.values())

    def propose(self, state: State, line_id: str, style: Style | None = None) -> Proposed:
        """One line as a proposal. Raises ``RenderError`` if a slot has no value that can be spoken."""
        line = self._content.lines[line_id]
        template = line.alternates.get(style, line.text) if style else line.text
        values = state.values(self.case)
        text = fill(
            template, self._content.slots, values, self.script.lang, currency=self.case.currency, today=self.today
        )
        return Proposed(
            line_id=line_id,
            text=text,
            lang=self.script.lang,
            slots={name: str(values[name]) for name in sorted(line.slots()) if values.get(name) not in (None, "")},
            script_id=self.script.id,
            script_hash=self.script.content_hash,
            interruptible=line.interruptible,
            purposes=line.purposes,
            expects=line.expects,
        )

    # -- events ------------------------------------------------------------------------------------------------

    def _understood(self, state: State, turn: Understood) -> Step:
        state = replace(state, softer=turn.emotion in _UPSET, slower=turn.emotion == "anxious")
        if state.closing:
            return self._while_closing(state, turn)
        state = replace(state, turns=state.turns + 1, counts=_without(state.counts, "silence"))
        state, signal = signal_of(state, turn, self._content, self.case, self.today)
        if state.turns > self._content.limits.max_turns and overriding(turn) is None:
            signal = "too_long"
        if signal == "repeat_request" and state.last and not self._content.states[state.node].hears.get(signal):
            if state.count("repeat_request") < 3:
                return self._repeat(_counted(state, signal))
            signal = "not_understood"
        state = _counted(state, "anger") if turn.emotion == "angry" else replace(state, counts=_without(state.counts, "anger"))  # fmt: skip  # noqa: E501
        if state.count("anger") >= _ANGRY_TURNS and not self._settles(state, signal):
            signal = "request_human"
        if signal not in _ROW and self._content.transitions(state.node, signal):
            state = replace(state, counts=_without(state.counts, "repair"))
        extra: list[Action] = []
        if signal == "promise_confirmed" and state.promise_date and state.promise_amount:
            extra.append(RecordPromise(date.fromisoformat(state.promise_date), Decimal(state.promise_amount)))
            state = replace(state, promised=True)
        elif signal == "callback_ready":
            said = {"callback_date": state.callback_date, "callback_time": state.callback_time}
            extra += [Note(key, value) for key, value in said.items() if value]
        elif signal == "already_paid" and state.party == "borrower":
            slots = {f"paid_{name}": turn.slots[name].value for name in ("date", "amount") if name in turn.slots}
            extra += [Note(key, value) for key, value in slots.items() if value]
        robot = signal != "ask_if_robot" and any(name == "ask_if_robot" for name, _ in turn.intents)
        return self._signal(state, signal, extra, self._truth() if robot else ())

    def _settles(self, state: State, signal: str) -> bool:
        """Whether a signal answers anger by itself: a floor, a step that went well, or the end of the call."""
        if signal in FLOORS or signal in _WENT_WELL:
            return True
        counted = _counted(state, _ROW.get(signal, signal))
        transitions = self._content.transitions(state.node, signal)
        return any(t.end is not None for t in transitions if self._holds(counted, signal, t.when))

    def _while_closing(self, state: State, turn: Understood) -> Step:
        """Somebody speaks while the goodbye is on its way: the floors still hold, everything else is too late."""
        signal = overriding(turn) or turn.intent
        if signal not in FLOORS or state.count(f"closing_{signal}"):
            return state, ()
        state = _counted(state, f"closing_{signal}")
        if signal == "crisis":
            return (state, ()) if state.disposition == "crisis_handoff" else self._signal(state, signal)
        if state.disposition in HANDED_OVER or signal == "abuse":
            kept: tuple[Action, ...] = (Flag(f"{signal}_at_close", "warning"),)
            return state, (Restrict(signal), *kept) if signal in RESTRICTING else kept
        if signal == "ask_if_robot":
            said, actions, last = self._say(state, self._truth())
            return said, (*actions, EndCall(state.disposition or "failed", last))
        if signal in ("deny_identity", "third_party") and state.party != "borrower":
            return state, ()
        if signal in ("hardship", "request_plan") and state.party != "borrower":
            return state, ()
        if signal in RESTRICTING and state.count(signal):
            return state, ()
        return self._signal(replace(state, closing=False, disposition=None), signal)

    def _spoken(self, state: State, event: LineSpoken) -> State:
        line = self._content.lines.get(event.line_id)
        if line is None:
            return state
        state = replace(state, queued=state.queued - line.purposes)
        if event.complete:
            owed = tuple(item for item in state.owed if item != event.line_id)
            return replace(state, owed=owed, purposes_done=state.purposes_done | line.purposes)
        due = (line.purposes & MANDATORY) - state.purposes_done
        if due and not state.closing and event.line_id not in state.owed:
            return replace(state, owed=(*state.owed, event.line_id))
        return state

    def _refused(self, state: State, event: LineRefused) -> Step:
        flag = Flag(f"line_refused:{event.line_id}", "warning")
        state = replace(state, queued=frozenset())
        if state.closing:
            disposition: Disposition = state.disposition or "failed"
            rest = state.last[state.last.index(event.line_id) + 1 :] if event.line_id in state.last else ()
            after = rest[-1] if rest else None
            says = [Say(self.propose(state, line_id)) for line_id in rest]
            ends: list[Action] = [EndCall(disposition, after)]
            if disposition in HANDED_OVER:
                ends.insert(0, Transfer("line_refused", disposition == "crisis_handoff", after))
            return replace(state, last=rest), (flag, *says, *ends)
        if event.verdict is not None and event.verdict.decision == "end_call":
            return replace(state, closing=True, disposition="failed"), (flag, EndCall("failed"))
        return self._signal(state, "line_refused", [flag])

    def _hung_up(self, state: State) -> Step:
        by_party: dict[str, Disposition] = {"third_party": "third_party_reached", "voicemail": "voicemail"}
        disposition = state.disposition or state.outcome or by_party.get(state.party, "hung_up")
        return replace(state, closing=True, over=True, disposition=disposition), (EndCall(disposition),)

    def _key(self, state: State, event: Dtmf) -> Step:
        if self._content.states[state.node].reads != "digits":
            return self._signal(state, "request_human") if event.digit == "0" else (state, ())
        if event.digit == "#":
            return replace(state, digits=""), ()
        digits = state.digits + ("X" if event.digit == "*" else event.digit)
        if len(digits) < 4:
            return replace(state, digits=digits), ()
        result = verify((digits,), self.case.id_last4) or "verify_partial"
        return self._signal(replace(state, digits="", turns=state.turns + 1), result)

    # -- moving ------------------------------------------------------------------------------------------------

    def _signal(
        self, state: State, signal: str, before: list[Action] | None = None, lead: tuple[LineUse, ...] = ()
    ) -> Step:
        transitions = self._content.transitions(state.node, signal)
        if not transitions:
            signal = "not_understood"
            transitions = self._content.transitions(state.node, signal)
        state = _counted(state, _ROW.get(signal, signal))
        move = next(t for t in transitions if self._holds(state, signal, t.when))
        try:
            return self._move(state, signal, move, list(before or ()), lead)
        except RenderError as error:
            if signal == "line_refused":
                ended = replace(state, closing=True, disposition="failed")
                return ended, (Flag("line_unrenderable", "critical"), EndCall("failed"))
            return self._signal(
                state, "line_refused", [*(before or ()), Flag(f"line_unrenderable:{error}", "critical")]
            )

    def _holds(self, state: State, signal: str, when: tuple[str, ...]) -> bool:
        for condition in when:
            name = condition.removeprefix("not ")
            if self._condition(state, signal, name) == condition.startswith("not "):
                return False
        return True

    def _possible(self, condition: str) -> bool:
        """Whether a condition can come to hold in a call of this case."""
        name = condition.removeprefix("not ")
        held = self._of_case.get(name)
        if name == "has_plan" and not self.case.plans:
            held = False
        return held is None or held != condition.startswith("not ")

    def _condition(self, state: State, signal: str, name: str) -> bool:
        if name in self._of_case:
            return self._of_case[name]
        times = state.count(_ROW.get(signal, signal))
        return {
            "first": times == 1,
            "second": times == 2,
            "third": times == 3,
            "verified": state.party == "borrower",
            "unverified": state.party == "unverified",
            "third_party": state.party == "third_party",
            "relayed": state.relayed,
            "has_plan": state.plans_offered < len(self.case.plans),
            "has_outcome": state.outcome is not None,
            "has_callback_date": state.callback_date is not None,
            "has_callback_time": state.callback_time is not None,
        }[name]

    def _move(
        self, state: State, signal: str, move: Transition, actions: list[Action], lead: tuple[LineUse, ...]
    ) -> Step:
        if move.party is not None and move.party != state.party:
            state = replace(state, party=move.party)
            actions.append(SetParty(move.party))
        if move.flag is not None:
            actions.append(Flag(move.flag.reason, move.flag.severity))
        if move.restrict is not None:
            actions.append(Restrict(move.restrict))
        actions += [Note(key, value) for key, value in sorted(move.note.items())]
        if move.outcome is not None:
            state = replace(state, outcome=move.outcome)
            if move.outcome == "plan_requested" and state.plan:
                actions.append(Note("plan", state.plan))
        uses = (*lead, *self._resolved(state, signal, move.say))
        if move.end is not None:
            return self._end(state, move, actions, uses)
        if move.to is not None:
            state = replace(state, node=move.to, digits="")
            if self._content.states[move.to].reads == "plan" and state.plans_offered < len(self.case.plans):
                plan = self.case.plans[state.plans_offered]
                state = replace(state, plan=plan, plans_offered=state.plans_offered + 1)
            uses += self._resolved(state, signal, self._content.states[move.to].prompt)
        elif move.reprompt:
            node = self._content.states[state.node]
            again = node.prompt if node.reprompt is None else node.reprompt
            uses += self._resolved(state, signal, again)
        owed = tuple(LineUse(line=line_id) for line_id in state.owed)
        return self._speak(state, actions, (*owed, *uses))

    def _resolved(self, state: State, signal: str, uses: tuple[LineUse, ...]) -> tuple[LineUse, ...]:
        return tuple(use for use in uses if self._holds(state, signal, use.when))

    def _end(self, state: State, move: Transition, actions: list[Action], uses: tuple[LineUse, ...]) -> Step:
        fixed = None if move.end == "outcome" else move.end
        disposition: Disposition = fixed or state.outcome or "hung_up"
        state, says, last = self._say(state, uses)
        actions += says
        if move.transfer is not None:
            actions.append(Transfer(move.transfer.reason, move.transfer.urgent, last))
        actions.append(EndCall(disposition, last))
        return replace(state, closing=True, disposition=disposition, owed=()), tuple(actions)

    def _speak(self, state: State, actions: list[Action], uses: tuple[LineUse, ...]) -> Step:
        state, says, _ = self._say(state, uses)
        node = self._content.states[state.node]
        expects = next((s.proposed.expects for s in reversed(says) if s.proposed.expects is not None), None)
        if expects is None:
            asked = (self._content.lines[use.line].expects for use in node.prompt)
            expects = next((item for item in asked if item is not None), None)
        listen = Listen(expects, node.silence_s or self._content.limits.silence_s)
        return state, (*actions, *says, listen)

    def _say(
        self, state: State, uses: tuple[LineUse, ...], style: Style | None = None
    ) -> tuple[State, list[Say], str | None]:
        says: list[Say] = []
        for line_id in dict.fromkeys(use.line for use in uses):
            relay = "relay_request" in self._content.lines[line_id].purposes
            if relay and state.relayed and style != "slower":
                continue  # one relay request a call, whatever a script says
            proposed = self.propose(state, line_id, style or self._style(state, line_id))
            says.append(Say(proposed))
            sure = frozenset() if proposed.interruptible else proposed.purposes & MANDATORY
            state = replace(state, relayed=state.relayed or relay, queued=state.queued | sure)
        if says:
            state = replace(state, last=tuple(say.proposed.line_id for say in says))
        return state, says, says[-1].proposed.line_id if says else None

    def _style(self, state: State, line_id: str) -> Style | None:
        """The approved wording for the caller's mood: softer for who is upset, else slower for who is anxious."""
        known = self._content.lines[line_id].alternates
        if state.softer and "softer" in known:
            return "softer"
        return "slower" if state.slower and "slower" in known else None

    def _repeat(self, state: State) -> Step:
        uses = tuple(LineUse(line=line_id) for line_id in (*state.owed, *state.last[-2:]))
        try:
            said, says, _ = self._say(state, uses, "slower")
        except RenderError as error:
            return self._signal(state, "line_refused", [Flag(f"line_unrenderable:{error}", "critical")])
        expects = next((s.proposed.expects for s in reversed(says) if s.proposed.expects is not None), None)
        node = self._content.states[state.node]
        return said, (*says, Listen(expects, node.silence_s or self._content.limits.silence_s))

    def _truth(self) -> tuple[LineUse, ...]:
        return tuple(LineUse(line=i) for i, line in self._content.lines.items() if "ai_truth" in line.purposes)[:1]


def _counted(state: State, signal: str) -> State:
    counts = dict(state.counts)
    counts[signal] = counts.get(signal, 0) + 1
    return replace(state, counts=tuple(sorted(counts.items())))


def _without(counts: tuple[tuple[str, int], ...], name: str) -> tuple[tuple[str, int], ...]:
    return tuple(item for item in counts if item[0] != name)
