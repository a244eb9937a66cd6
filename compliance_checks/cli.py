"""``callgate check``: JSON lines in, verdicts out, one line at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

from agent.events import CallFacts, Lang, Party, Verdict
from compliance_checks.gate import Gate

_LANGS: Mapping[str, Lang] = {"zh": "zh", "en": "en"}
_PARTIES: Mapping[str, Party] = {
    "unverified": "unverified",
    "borrower": "borrower",
    "third_party": "third_party",
    "voicemail": "voicemail",
}
_KEYS = frozenset({"text", "lang", "party", "policy", "facts"})
_MAX_LINE = 1 << 20


class LineError(ValueError):
    """One input line is not a question the gate can answer."""


def parse(line: str, policy: str | None) -> tuple[str, CallFacts]:
    """One input line as the gate's arguments. Raises :class:`LineError` saying what is wrong."""
    if len(line) > _MAX_LINE:
        raise LineError(f"longer than {_MAX_LINE} characters")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LineError("not JSON" if not isinstance(error, RecursionError) else "nested too deeply") from error
    if not isinstance(row, dict):
        raise LineError(f"a line must be an object, not {type(row).__name__}")
    if not isinstance(row.get("text"), str):
        raise LineError("text is missing" if "text" not in row else "text must be a string")
    lang, party = row.get("lang"), row.get("party")
    if not isinstance(lang, str) or lang not in _LANGS:
        raise LineError("lang must be zh or en")
    if not isinstance(party, str) or party not in _PARTIES:
        raise LineError("party must be unverified, borrower, third_party or voicemail")
    facts = row.get("facts")
    if facts is not None and not isinstance(facts, dict):
        raise LineError("facts must be an object")
    chosen = row.get("policy", policy)
    if chosen is not None and not isinstance(chosen, str):
        raise LineError("policy must be a string")
    case = facts or {}
    return row["text"], CallFacts(_LANGS[lang], _PARTIES[party], chosen if chosen is not None else policy, case)


def answer(verdict: Verdict) -> dict[str, Any]:
    """A verdict as ``callgate check`` prints it."""
    return {
        "decision": verdict.decision,
        "rules": [
            {
                "id": hit.id,
                "category": hit.category,
                "clause": hit.clause,
                "start": hit.start,
                "end": hit.end,
                "review": hit.review,
                "explanation": dict(hit.explanation),
            }
            for hit in verdict.rules
        ],
        "text": verdict.text,
        "policy_hash": verdict.policy_hash,
    }


def run(stdin: TextIO, stdout: TextIO, stderr: TextIO, policy: str | None = None, gate: Gate | None = None) -> int:
    """Judge every line of ``stdin``; 0 if all were allowed, 1 if any was not, 2 if any line was unusable.

    A bad line gives ``{"error", "line"}`` on ``stdout`` and a message on ``stderr``, and the next one is read.
    Answers are written as they are found. ``policy`` is the default for lines that name none.
    """
    gate = gate or Gate.load()
    status = 0
    lines = iter(stdin)
    number = 0
    while True:
        number += 1
        try:
            line = next(lines)
        except StopIteration:
            return status
        except UnicodeDecodeError:
            _bad(stdout, stderr, number, "not UTF-8 text; nothing after it can be read")
            return 2
        if not line.strip():
            continue
        try:
            text, facts = parse(line, policy)
        except LineError as error:
            _bad(stdout, stderr, number, str(error))
            status = 2
            continue
        verdict = gate.judge(text, facts)
        stdout.write(json.dumps(answer(verdict), ensure_ascii=False) + "\n")
        stdout.flush()
        if verdict.decision != "allow":
            status = max(status, 1)


def _bad(stdout: TextIO, stderr: TextIO, number: int, why: str) -> None:
    stdout.write(json.dumps({"error": why, "line": number}, ensure_ascii=False) + "\n")
    stdout.flush()
    stderr.write(f"callgate check: line {number}: {why}\n")
