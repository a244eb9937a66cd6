"""A gate for text that arrives in pieces, such as a language model's reply.

A sentence is released when it is whole, when the gate approves it alone, and when it allows everything said so far
with it. What is released never depends on how the text was cut into pieces: where a sentence ends is read from the
characters alone, and a mark that could still be inside a number, an abbreviation or a quotation waits for what
follows. After a refusal nothing more comes out, whatever arrives.
"""

from __future__ import annotations

import re
from typing import Final

from agent.events import CallFacts, Proposed, Verdict
from compliance_checks.approved import ApprovedLine, verify
from compliance_checks.folding import fold_char, is_han
from compliance_checks.gate import MAX_TEXT, Gate

_ENDS: Final = frozenset("。！？!?…\n；;")
_STOP: Final = "."
_OPEN: Final = {"“": "”", "「": "」", "『": "』", "（": "）", "(": ")", "《": "》", "【": "】", "[": "]"}
_CLOSE: Final = frozenset(_OPEN.values()) | {'"', "'", "’"}
# Shorter stretches wait for the next: a word spelt across full stops (报。警。) must not leave piece by piece.
_MIN_HAN: Final = 5
_MIN_WORDS: Final = 3
_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|no|vs|etc|e\.g|i\.e|jr|sr|inc|ltd|co|[a-z])\.$", re.I
)


class StreamingGate:
    """One reply of one call. ``feed`` the pieces, then ``close``; each returns the lines that may be spoken now.

    ``facts`` are those of the call when the reply begins. Free text carries no purpose, so the mandatory disclosures
    must have been made before. Nothing is raised for what is fed: what cannot be judged is refused.
    """

    def __init__(self, gate: Gate, facts: CallFacts, line_id: str = "reply") -> None:
        self._gate = gate
        self._facts = facts
        self._line_id = line_id
        self._text = ""  # everything up to the end of the last segment that was judged
        self._segment: list[str] = []
        self._quotes: list[str] = []
        self._mark = ""  # the mark that may have ended the segment, while only marks, closers and spaces followed
        self._spaced = False
        self._count = 0
        self._size = 0
        self._closed = False
        self._refusal: Verdict | None = None

    @property
    def refusal(self) -> Verdict | None:
        """The verdict that stopped the reply, or ``None``. Its offsets are in the segment or in the text so far."""
        return self._refusal

    @property
    def released(self) -> str:
        """The text judged and released so far, exactly as it came in."""
        return self._text

    def feed(self, piece: object) -> tuple[ApprovedLine, ...]:
        """Take the next piece; the lines that it completed, in order. Raises ``ValueError`` after :meth:`close`."""
        if self._closed:
            raise ValueError("the stream is closed")
        if self._refusal is not None:
            return ()
        if not isinstance(piece, str):
            self._refusal = self._gate.judge(piece, self._facts)
            return ()
        lines: list[ApprovedLine] = []
        for char in piece:
            self._size += 1
            if self._size > MAX_TEXT:
                self._refusal = self._gate.judge("x" * (MAX_TEXT + 1), self._facts)
            elif self._ends_before(char):
                lines += self._judge()
            if self._refusal is not None:
                break
            self._take(char)
        return tuple(lines)

    def close(self) -> tuple[ApprovedLine, ...]:
        """The reply is over: judge what is left. A second call returns nothing."""
        if self._closed:
            return ()
        self._closed = True
        return self._judge() if self._refusal is None and _units(self._segment) != (0, 0) else ()

    # -- where a sentence ends

    def _ends_before(self, char: str) -> bool:
        """True if the characters so far are a whole sentence, now that ``char`` follows them."""
        if not self._mark or char in _ENDS or char == _STOP or char in _CLOSE or char.isspace():
            return False
        if self._mark == _STOP and (not self._spaced or _ABBREVIATION.search("".join(self._segment).rstrip())):
            return False
        han, words = _units(self._segment)
        return not self._quotes and (han >= _MIN_HAN or words >= _MIN_WORDS)

    def _take(self, char: str) -> None:
        self._segment.append(char)
        if char in _ENDS:
            self._mark, self._spaced = char, False
        elif char == _STOP:
            self._mark, self._spaced = self._mark or char, False
        elif char.isspace():
            self._spaced = True
        elif char not in _CLOSE:
            self._mark = ""
        if char == '"' and self._quotes[-1:] != ['"']:
            self._quotes.append('"')
        elif self._quotes and char == self._quotes[-1]:
            self._quotes.pop()
        elif char in _OPEN:
            self._quotes.append(_OPEN[char])

    # -- judging

    def _judge(self) -> tuple[ApprovedLine, ...]:
        """The segment as an approved line, or nothing and a refusal."""
        segment = "".join(self._segment)
        so_far = self._text + segment
        proposed = Proposed(f"{self._line_id}.{self._count}", segment.strip(), self._facts.lang)
        verdict, line = self._gate.approve(proposed, self._facts)
        if line is not None and self._text:
            verdict = self._gate.judge(so_far, self._facts)
        if line is None or verdict.decision != "allow":
            self._refusal = verdict
            return ()
        self._text = so_far
        self._segment = []
        self._mark = ""
        self._spaced = False
        self._count += 1
        return (verify(line),)


def _units(segment: list[str]) -> tuple[int, int]:
    """Ideographs and Latin words of ``segment``, folded."""
    text = "".join(fold_char(char) for char in segment)
    return sum(map(is_han, text)), len(re.findall(r"[a-z0-9]+", text))
