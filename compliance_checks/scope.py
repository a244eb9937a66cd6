"""Who says a thing, and whether it is said to happen: negation, rights, warnings, quotations.

A match is lifted only if its own clause says so; a negation that hangs on payment ("we won't call the police —
if you pay today") or that only sounds like one ("we won't hesitate to …") lifts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from agent.events import Lang
from compliance_checks.check import Reading
from compliance_checks.patterns import Match
from compliance_checks.rulefile import known, mapping, read_rules, texts
from compliance_checks.terms import PatternError

_FILE = Path(__file__).parent / "rules" / "scope.yaml"


@dataclass(frozen=True, slots=True)
class _Cues:
    """The cue expressions of one language; each is searched in a clause or a sentence, never in the whole text."""

    idioms: re.Pattern[str]  # look like negations and are none
    negators: re.Pattern[str]
    adjacent: re.Pattern[str]  # a bare negator that must touch what it negates
    flips: re.Pattern[str]  # "nobody said we would not …"
    wide: re.Pattern[str]  # negators that take a whole clause with its own verb ("no one will …")
    blockers: re.Pattern[str]  # a new subject or predicate between a negator and the head
    joiners: re.Pattern[str]  # a second negator after one of these goes on with the first: not X and not Y
    after: re.Pattern[str]  # "… is illegal", said after the head
    bargain: re.Pattern[str]  # the negation depends on payment
    inability: re.Pattern[str]  # … unless the condition is that the borrower cannot pay
    fading: re.Pattern[str]  # "not yet", "for now"
    status: re.Pattern[str]  # … which is an honest answer where it tells what has not happened ("has not been …")
    disowned: re.Pattern[str]  # "I never said that …", an honest answer about such a fact as well
    hurry: re.Pattern[str]  # … and nothing in the sentence hurries the borrower because of it
    twist: re.Pattern[str]  # "but that may change", right after
    rights: re.Pattern[str]
    no_right: re.Pattern[str]
    acts: re.Pattern[str]
    warning: re.Pattern[str]
    alert: re.Pattern[str]  # a warning that is its own advice: beware of …, 谨防…
    advice: re.Pattern[str]
    quote: re.Pattern[str]
    reported: re.Pattern[str]  # what somebody else did to the borrower …
    regret: re.Pattern[str]  # … and that the speaker is sorry for it, or reports it
    cited: re.Pattern[str]  # words are spoken of as words ("the phrase …") …
    condemned: re.Pattern[str]  # … and nobody should say them
    rumour: re.Pattern[str]  # "whoever told you that …"
    dismissed: re.Pattern[str]  # … was wrong
    resumed: re.Pattern[str]  # what makes either a threat again: "but", "unless"
    recalled: re.Pattern[str]  # "… is a scam, but the warrant is real": the warning does not reach so far
    taunt: re.Pattern[str]  # rhetoric: it makes a quotation or a worry a threat again
    disclaimers: re.Pattern[str]  # "I cannot promise …"
    chinese: bool


@cache
def _cues() -> Mapping[Lang, _Cues]:
    raw = mapping(read_rules(_FILE).get("cues"), f"{_FILE.name}: cues")
    return {"zh": _compiled(raw, "zh"), "en": _compiled(raw, "en")}


def read_cues() -> None:
    """Read the cues now, so that a broken file is named when rules are loaded. Raises :class:`PatternError`."""
    _cues()


def _compiled(raw: Mapping[str, Any], lang: Lang) -> _Cues:
    where = f"{_FILE.name}: cues.{lang}"
    entries = mapping(raw.get(lang), where)
    names = frozenset(field.name for field in fields(_Cues)) - {"chinese"}
    known(entries, names, where)

    def pattern(name: str) -> re.Pattern[str]:
        entry = mapping(entries.get(name), f"{where}.{name}")
        known(entry, frozenset({"words", "any"}), f"{where}.{name}")
        kind = "words" if "words" in entry else "any"
        joined = "|".join(texts(entry.get(kind), f"{where}.{name}.{kind}"))
        try:
            return re.compile(rf"\b(?:{joined})\b" if kind == "words" else joined)
        except re.error as error:
            raise PatternError(f"{where}.{name}.{kind}: no regular expression: {error}") from error

    return _Cues(**{name: pattern(name) for name in sorted(names)}, chinese=lang == "zh")


def lifted(reading: Reading, match: Match, scopes: frozenset[str], factual: bool = False) -> bool:
    """True if the match stands in one of ``scopes`` and so is no violation.

    ``factual``: the case file says whether it happened, so "not so far" is an honest answer and no hint.
    """
    cues = _cues()[reading.lang]
    text = reading.view.text
    clause_start, clause_end = reading.layout.clause_bounds(match.head)
    sentence_start, sentence_end = reading.layout.sentence_bounds(match.head)
    if sentence_start <= match.start < clause_start:
        # A list that began in an earlier clause is denied from there on: "we do not call friends, neighbours or …".
        listed = not cues.chinese and not _PREDICATE.search(text[match.start : match.head])
        clause_start = reading.layout.clause_bounds(match.start)[0] if listed else match.start
    believed = _dismissed(cues, text, match, sentence_start, sentence_end + 60)
    if believed is not None and scopes & {"warning", "quote"}:
        return believed
    denied_from = clause_start if cues.chinese else _list_start(text, match, clause_start, clause_end, sentence_start)
    if "negation" in scopes and _negated(cues, text, match, denied_from, (sentence_start, sentence_end), factual):
        return True
    if "rights" in scopes and _right(cues, text, match, clause_start, clause_end):
        return True
    sentence = text[sentence_start:sentence_end]
    following = text[sentence_end : sentence_end + 60]
    if "warning" in scopes and _warned(cues, text, match, sentence_start, sentence, following):
        return True
    if "quote" in scopes:
        before = text[sentence_start : match.head]
        cue = cues.quote.search(before)
        recalled = cue is not None and cues.recalled.search(before[cue.end() :])
        taunted = cues.taunt.search(sentence) or cues.bargain.search(text[match.head_end : sentence_end])
        if cue and not recalled and not taunted:
            return True
        said = cues.reported.search(before)
        if said and cues.regret.search(text[sentence_start + said.end() : sentence_end] + following):
            return not cues.taunt.search(sentence)
        if _condemned(cues, before, text[match.start : sentence_end], following):
            return True
    return False


def _condemned(cues: _Cues, before: str, after: str, following: str) -> bool:
    """Words that are repeated only to say that nobody should have said them, before the match or behind it."""
    if cues.resumed.search(after + following):
        return False
    forbidden = cues.condemned.search(before)
    if forbidden and cues.cited.search(before[forbidden.start() :]):
        return True  # "nobody here may call you a …"
    verdict = cues.condemned.search(after + following)
    if verdict is None:
        return False
    return bool(cues.cited.search(before) or cues.cited.search(after[: verdict.end() + 12]))


def _dismissed(cues: _Cues, text: str, match: Match, start: int, end: int) -> bool | None:
    """What others told the borrower is contradicted behind it: true if that lifts the match, ``None`` if it is not so.

    False where they told that it does *not* happen: "whoever told you that nobody goes to jail was lying".
    """
    *_, cue = [None, *cues.rumour.finditer(text[start : match.head])]
    rest = text[match.head_end : end]
    if cue is None or not cues.dismissed.search(rest) or cues.resumed.search(rest):
        return None
    return not _DENIAL.search(text[start + cue.end() : match.head])


_DENIAL = re.compile(r"没|不(?![了起掉交还付给])|\b(?:not|never|nobody|no)\b")


# What the head acts on, before a "yet" that belongs to the negation: we have not sued you yet.
_OBJECT = re.compile(r"^ ?(?:you|it|this|that|anything|anyone|them)\b")

# An entry of an English list, no predicate: "…, your family or your friends".
_ENTRY = re.compile(r"(?: ?(?:or|nor|any|your|my|our|the|a|an|other|even))*(?: ?[a-z]+){0,5} ?$")
_PREDICATE = re.compile(
    r"\b(?:will|would|can|could|may|might|shall|must|should|is|are|was|gets?|hears?|knows?|goes|going|comes?|finds?|pay"
    r"|paid|settle|send|if|unless|but|then|we|i|they|he|she|you|do|does|not|so|because|until|before)\b"
)


def _list_start(text: str, match: Match, clause_start: int, clause_end: int, sentence_start: int) -> int:
    """Where the denial of a list begins: in "not your boss, your wife or a friend" commas end no clause."""
    start = clause_start
    upto, tail = match.head, text[match.head_end : clause_end]
    if _PREDICATE.search(tail):
        return clause_start
    while start > sentence_start + 1 and re.search(r", ?$", text[:start]):
        entry = text[start:upto]
        if not _ENTRY.match(entry) or _PREDICATE.search(entry):
            break
        upto = text.rindex(",", 0, start)
        start = max(sentence_start, text.rfind(",", sentence_start, upto) + 1)
    return start if re.search(r"\b(?:or|nor)\b", text[start:clause_end]) else clause_start


def _negated(
    cues: _Cues, text: str, match: Match, clause_start: int, sentence: tuple[int, int], factual: bool = False
) -> bool:
    if cues.flips.search(text[clause_start : match.head]):
        return False
    if factual and cues.disowned.search(text[clause_start : match.head]):
        return not cues.hurry.search(text[sentence[0] : sentence[1]])
    before = cues.idioms.sub(lambda m: "~" * len(m.group()), text[clause_start : match.head])
    count = 0
    wide = cues.wide.search(before)
    found = list(cues.negators.finditer(before))
    if wide and not cues.bargain.search(before[wide.end() :]):
        count = 1 + sum(1 for n in found if n.start() >= wide.end())
    elif found:
        count = _attached(cues, before, found)
    if not count:
        places = {match.head, match.start, *match.pieces}
        for place in places:
            if place >= clause_start and cues.adjacent.search(before[: place - clause_start]):
                count = 1
        if count and cues.chinese and re.search(r"(?:不是|不能|不会)$", before[: max(0, len(before) - 1)]):
            count = 2
    else:
        bare = cues.adjacent.search(before)
        if bare and not any(n.start() <= bare.start() < n.end() for n in found) and not wide:
            count += 1
    tail = text[match.head_end : sentence[1]]
    whole = text[sentence[0] : match.head] + " " + tail
    if count % 2 == 0:
        if not cues.after.match(tail) or "不" in text[max(clause_start, match.head - 2) : match.head]:
            return False
        return not cues.chinese or not cues.bargain.search(whole)
    for bargain in cues.bargain.finditer(whole):
        stretch = whole[max(0, bargain.start() - 12) : bargain.end() + 16]
        if not cues.inability.search(stretch):
            return False
    fading = cues.fading.search(before) or cues.fading.match(_OBJECT.sub("", tail, count=1).lstrip())
    if fading and not (factual and cues.status.search(before) and not cues.hurry.search(whole)):
        return False
    return not cues.twist.match(text[match.head_end :][:40])


def _attached(cues: _Cues, before: str, found: list[re.Match[str]]) -> int:
    """How many negators act on what follows ``before``: a second one counts unless it goes on with the first."""
    nearest = found[-1]
    if cues.blockers.search(before[nearest.end() :]):
        return 0
    count = 1
    for earlier, later in zip(reversed(found[:-1]), reversed(found), strict=False):
        between = before[earlier.end() : later.start()] + (later.group()[0] if cues.chinese else "")
        if cues.joiners.search(between) or len(between) > 24:
            break
        if cues.chinese and cues.blockers.search(between):
            break
        count += 1
    return count


def _right(cues: _Cues, text: str, match: Match, clause_start: int, clause_end: int) -> bool:
    """The borrower's own right: "you may complain …". The matched act itself must be one of the rights."""
    acts = text[match.start : clause_end]
    for place in dict.fromkeys((match.start, *match.pieces)):
        if place < clause_start:
            continue
        before = text[clause_start:place]
        cue = cues.rights.search(before)
        if cue and not cues.no_right.search(
            before[cue.start() :].partition(" ")[2] if " " in before else before[cue.start() :]
        ):
            return bool(cues.acts.search(text[max(clause_start, place - 30) : place]) or cues.acts.search(acts))
    return False


def _warned(cues: _Cues, text: str, match: Match, start: int, sentence: str, following: str) -> bool:
    """A warning against others: a cue before the match and advice (report it, it is a scam) in the sentence."""
    cue = cues.warning.search(text[start : match.head_end])
    if cue is None or cues.recalled.search(text[start + cue.end() : match.head]):
        return False
    if cues.alert.match(cue.group()):
        return True
    rest = sentence[: cue.start()] + " " + sentence[cue.end() :] + following
    return bool(cues.advice.search(rest))


def disclaimed(reading: Reading, match: Match) -> bool:
    """True if the speaker says that it cannot promise: "I cannot guarantee …" is honest."""
    start, _ = reading.layout.clause_bounds(match.start)
    text = reading.view.text[start : match.end]
    return bool(_cues()[reading.lang].disclaimers.search(text))
