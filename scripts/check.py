"""What every script must hold, proved on the data before anything is spoken.

Two proofs matter most. *Disclosure*: the party ``borrower`` is reached only by ``verify_ok``, and a line with a
protected slot or a purpose of ``_DEBT_TALK`` is only said where the party is certainly the borrower. *Floors*:
in every state and in every branch, each intent of ``FLOORS`` is answered as DESIGN demands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scripts.schema import (
    CONDITIONS,
    EVENTS,
    FLOORS,
    INTENTS,
    PURPOSES,
    SLOT_PATTERN,
    Content,
    LineSpec,
    LineUse,
    Party,
    SlotType,
    Transition,
)

MAX_SPOKEN_S = 12.0
PARTIES: tuple[Party, ...] = ("unverified", "borrower", "third_party", "voicemail")
_SIGNALS = frozenset(INTENTS) | frozenset(EVENTS)
# Saying any of these to a stranger discloses the debt, even without a figure.
_DEBT_TALK = frozenset(
    {"debt_facts", "debt_collector_notice", "ask_payment", "read_back", "consequence", "plan_offer", "payment_channel"}
)
_RESTRICTING = ("stop_contact", "legal_representation", "dispute_debt", "deceased_or_incapacitated")
# Longest usual spoken length of a slot: Mandarin syllables, English words.
_SPOKEN: dict[SlotType, tuple[int, int]] = {
    "name": (4, 2), "text": (8, 4), "money": (9, 7), "date": (6, 4), "time": (6, 4), "digits": (10, 10), "int": (3, 3)
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Branch:
    """One transition in one state, with the parties that may be on the line when it is taken."""

    state: str
    signal: str
    transition: Transition
    parties: frozenset[Party]
    last: bool

    @property
    def where(self) -> str:
        return f"state {self.state!r} on {self.signal!r}"


def problems(content: Content) -> list[str]:
    """Every rule the script breaks, in words; empty if it is sound."""
    proofs = (_reachability, _disclosure, _floors, _unused)
    return list(_references(content)) or [problem for proof in proofs for problem in proof(content)]


_PARTY_CONDITIONS: dict[str, frozenset[Party]] = {
    "verified": frozenset({"borrower"}),
    "unverified": frozenset({"unverified"}),
    "third_party": frozenset({"third_party"}),
    "not verified": frozenset({"unverified", "third_party", "voicemail"}),
    "not unverified": frozenset({"borrower", "third_party", "voicemail"}),
    "not third_party": frozenset({"unverified", "borrower", "voicemail"}),
}


def _narrow(parties: frozenset[Party], when: tuple[str, ...]) -> frozenset[Party]:
    for condition in when:
        parties &= _PARTY_CONDITIONS.get(condition, parties)
    return parties


def _branches(content: Content, signals: tuple[str, ...] | None = None) -> Iterator[_Branch]:
    everywhere = {*content.floors, *content.common}
    for name, state in content.states.items():
        for signal in signals if signals is not None else sorted(everywhere | set(state.hears)):
            left = frozenset(state.party)
            transitions = content.transitions(name, signal)
            for index, transition in enumerate(transitions):
                parties = _narrow(left, transition.when)
                if parties:
                    yield _Branch(name, signal, transition, parties, index == len(transitions) - 1)
                if all(condition in _PARTY_CONDITIONS for condition in transition.when):
                    left -= parties  # these are always answered here: no later branch sees them


def _references(content: Content) -> Iterator[str]:
    if content.start not in content.states:
        yield f"start: unknown state {content.start!r}"
    for line_id, line in content.lines.items():
        yield from _line_problems(content, line_id, line)
    places = [(f"state {n!r}", s.hears) for n, s in content.states.items()]
    places += [("floors", content.floors), ("common", content.common)]
    for where, table in places:
        for signal, transitions in table.items():
            if signal not in _SIGNALS:
                yield f"{where}: unknown intent {signal!r}"
            for transition in transitions:
                yield from _transition_problems(content, f"{where} on {signal!r}", transition)
            if not transitions:
                yield f"{where} on {signal!r}: no transition"
            elif transitions[-1].when:
                yield f"{where} on {signal!r}: the last transition must be unconditional"
    for name, state in content.states.items():
        yield from _use_problems(content, f"state {name!r}", (*state.prompt, *(state.reprompt or ())))
        if not state.party:
            yield f"state {name!r}: party is empty"
    for signal in ("silence", "not_heard", "not_understood", "line_refused", "too_long", "repeat_request", "goodbye"):
        for name in content.states:
            if not content.transitions(name, signal):
                yield f"state {name!r}: {signal!r} is not answered"


def _unused(content: Content) -> Iterator[str]:
    for line_id in sorted(set(content.lines) - {line for line, _when in content.uses()}):
        yield f"line {line_id!r} is never said"


def _line_problems(content: Content, line_id: str, line: LineSpec) -> Iterator[str]:
    for text in (line.text, *line.alternates.values()):
        for slot in SLOT_PATTERN.findall(text):
            if slot not in content.slots:
                yield f"line {line_id!r}: unknown slot {slot!r}"
        left = SLOT_PATTERN.sub("", text)
        if "{" in left or "}" in left:
            yield f"line {line_id!r}: stray brace"
        seconds = spoken_seconds(content, text)
        if seconds > MAX_SPOKEN_S:
            yield f"line {line_id!r}: about {seconds:.0f} s to speak, more than {MAX_SPOKEN_S:.0f}"
    for purpose in sorted(line.purposes - PURPOSES):
        yield f"line {line_id!r}: unknown purpose {purpose!r}"


def spoken_seconds(content: Content, text: str) -> float:
    """About how long a template takes to speak, slots included (Mandarin 5 syllables, English 2.8 words a second)."""
    zh = content.lang == "zh"
    slots = sum(
        _SPOKEN[content.slots[s].type][0 if zh else 1] for s in SLOT_PATTERN.findall(text) if s in content.slots
    )
    plain = SLOT_PATTERN.sub(" ", text)
    units = sum(1 for char in plain if "\u4e00" <= char <= "\u9fff" or char.isdigit()) if zh else len(plain.split())
    return (units + slots) / (5.0 if zh else 2.8)


def _use_problems(content: Content, where: str, uses: tuple[LineUse, ...]) -> Iterator[str]:
    for use in uses:
        if use.line not in content.lines:
            yield f"{where}: unknown line {use.line!r}"
        yield from _condition_problems(where, use.when)


def _condition_problems(where: str, when: tuple[str, ...]) -> Iterator[str]:
    for condition in when:
        if condition.removeprefix("not ") not in CONDITIONS:
            yield f"{where}: unknown condition {condition!r}"


def _transition_problems(content: Content, where: str, transition: Transition) -> Iterator[str]:
    yield from _use_problems(content, where, transition.say)
    yield from _condition_problems(where, transition.when)
    if transition.to is not None and transition.to not in content.states:
        yield f"{where}: unknown state {transition.to!r}"
    if transition.to is not None and transition.end is not None:
        yield f"{where}: goes on to a state and ends the call"
    if transition.transfer is not None and transition.end is None:
        yield f"{where}: transfers but does not end the agent's part"
    if transition.party == "borrower" and "'verify_ok'" not in where:
        yield f"{where}: only 'verify_ok' may make the party the borrower"


def _reachability(content: Content) -> Iterator[str]:
    leads: dict[str, set[str]] = {name: set() for name in content.states}
    for branch in _branches(content):
        if branch.transition.to is not None:
            leads[branch.state].add(branch.transition.to)
    seen: set[str] = set()
    frontier = [content.start]
    while frontier:
        name = frontier.pop()
        if name not in seen:
            seen.add(name)
            frontier += leads[name]
    for name in content.states:
        if name not in seen:
            yield f"state {name!r} cannot be reached"
    if "unverified" not in content.states[content.start].party:
        yield f"start: state {content.start!r} must allow the party 'unverified'"


def _protected(content: Content, line_id: str) -> bool:
    line = content.lines[line_id]
    return bool(_DEBT_TALK & line.purposes) or any(content.slots[slot].protected for slot in line.slots())


def _disclosure(content: Content) -> Iterator[str]:
    borrower = frozenset({"borrower"})
    for name, state in content.states.items():
        for use in (*state.prompt, *(state.reprompt or ())):
            if _protected(content, use.line) and _narrow(frozenset(state.party), use.when) - borrower:
                yield f"state {name!r}: line {use.line!r} tells the debt to somebody who may not be the borrower"
    for branch in _branches(content):
        after = frozenset({branch.transition.party}) if branch.transition.party else branch.parties
        for use in branch.transition.say:
            if _protected(content, use.line) and _narrow(after, use.when) - borrower:
                yield f"{branch.where}: line {use.line!r} tells the debt to somebody who may not be the borrower"
        target = branch.transition.to
        if target is not None:
            wrong = after - frozenset(content.states[target].party)
            if wrong:
                yield f"{branch.where}: state {target!r} is not for the party {sorted(wrong)[0]!r}"
        elif branch.transition.end is None:
            wrong = after - frozenset(content.states[branch.state].party)
            if wrong:
                yield f"{branch.where}: stays in a state that is not for the party {sorted(wrong)[0]!r}"


def _said(content: Content, branch: _Branch) -> list[LineSpec]:
    """Every line that a branch may say, the next state's prompt included."""
    uses = list(branch.transition.say)
    if branch.transition.to is not None:
        uses += content.states[branch.transition.to].prompt
    elif branch.transition.end is None and branch.transition.reprompt:
        state = content.states[branch.state]
        uses += state.prompt if state.reprompt is None else state.reprompt
    return [content.lines[use.line] for use in uses]


def _floors(content: Content) -> Iterator[str]:
    for floor in FLOORS:
        if floor not in content.floors:
            yield f"floors: {floor!r} is missing"
            return
    for branch in _branches(content, FLOORS):
        wrong = _floor_problem(content, branch)
        if wrong:
            yield f"{branch.where}: floor broken: {wrong}"


def _floor_problem(content: Content, branch: _Branch) -> str | None:
    move, said = branch.transition, _said(content, branch)
    asks = any("ask_payment" in line.purposes for line in said)
    own = [content.lines[use.line] for use in move.say]
    if branch.signal == "crisis":
        urgent = move.transfer is not None and move.transfer.urgent and move.end == "crisis_handoff"
        return None if urgent else "must hand over at once"
    if branch.parties == {"voicemail"} and not said and move.end is None:
        return None  # a machine's greeting is only listened to
    if branch.signal == "request_human":
        return None if move.transfer is not None and move.end == "human_handoff" else "must hand over to a human"
    if branch.signal in _RESTRICTING:
        held = move.restrict is not None and move.end is not None and not asks and bool(own)
        return None if held else "must restrict contact, close politely and ask for nothing"
    if branch.signal in ("deny_identity", "third_party"):
        party = move.party == "third_party" or branch.parties == {"third_party"}
        if not party or asks:
            return "must take the person for a third party and ask for nothing"
        relays = any("relay_request" in line.purposes for line in said)
        return "may make the relay request twice" if relays and "not relayed" not in move.when else None
    if branch.signal == "ask_if_robot":
        return None if own and "ai_truth" in own[0].purposes else "must tell the truth first"
    if branch.signal == "abuse":
        if move.end is not None:
            return None
        calm = any("deescalate" in line.purposes for line in own) and "first" in move.when and not branch.last
        return None if calm else "may de-escalate once, then must close"
    offers = any("plan_offer" in line.purposes for line in said)
    if asks or (offers and "has_plan" not in move.when):
        return "must listen and offer only plans that the product allows"
    taken = move.transfer is not None or move.end == "plan_requested"
    listens = offers or taken or "borrower" not in branch.parties
    return None if listens else "must offer an allowed plan or a human"
