"""``callgate check``: JSON lines in, verdicts out, one line at a time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, TextIO

from agent.events import CallFacts, Lang, Party, Verdict
from compliance_checks.explain import explain
from compliance_checks.gate import Gate
from compliance_checks.policy import DEFAULT_POLICY, PolicyError

LANGS: Mapping[str, Lang] = {"zh": "zh", "en": "en"}
PARTIES: Mapping[str, Party] = {
    "unverified": "unverified",
    "borrower": "borrower",
    "third_party": "third_party",
    "voicemail": "voicemail",
}
MAX_LINE = 1 << 20  # bytes, or characters of a stream that has been decoded already


class LineError(ValueError):
    """One input line is not a question the gate can answer."""


def read_lines(stream: TextIO) -> Iterator[str | LineError]:
    """Every line of ``stream`` in bounded memory; one that is no UTF-8 or is too long as the error to report."""
    source: BinaryIO | TextIO = getattr(stream, "buffer", stream)
    coding = "utf-8-sig"  # a byte-order mark may stand before the first line
    while True:
        piece: str | bytes = source.readline(MAX_LINE + 1)
        if not piece:
            return
        if len(piece) > MAX_LINE:
            while piece and piece[-1:] not in ("\n", b"\n"):
                piece = source.readline(MAX_LINE)
            yield LineError(f"longer than {MAX_LINE} bytes")
        else:
            try:
                yield piece.decode(coding) if isinstance(piece, bytes) else piece
            except UnicodeDecodeError:
                yield LineError("not UTF-8 text")
        coding = "utf-8"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON in which no key stands twice: another reader might take the other of the two."""
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise LineError(f"the key {twice[:40]!r} stands twice")
    return found


def parse(line: str, policy: str | None) -> tuple[str, CallFacts, Mapping[str, Any]]:
    """One input line as the gate's arguments, and the row itself. Raises :class:`LineError` saying what is wrong."""
    try:
        row = json.loads(line, object_pairs_hook=_object)
    except RecursionError as error:
        raise LineError("nested too deeply") from error
    except LineError:
        raise
    except ValueError as error:
        raise LineError("not JSON") from error
    if not isinstance(row, dict):
        raise LineError(f"a line must be an object, not {type(row).__name__}")
    if not isinstance(row.get("text"), str):
        raise LineError("text is missing" if "text" not in row else "text must be a string")
    lang, party = row.get("lang"), row.get("party")
    if not isinstance(lang, str) or lang not in LANGS:
        raise LineError("lang must be zh or en")
    if not isinstance(party, str) or party not in PARTIES:
        raise LineError("party must be unverified, borrower, third_party or voicemail")
    facts = row.get("facts")
    if facts is not None and not isinstance(facts, dict):
        raise LineError("facts must be an object")
    chosen = row.get("policy")
    if chosen is not None and not isinstance(chosen, str):
        raise LineError("policy must be a string")
    known = CallFacts(LANGS[lang], PARTIES[party], chosen if chosen is not None else policy, facts or {})
    return row["text"], known, row


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
        "script_hash": verdict.script_hash,
    }


def run(
    stdin: TextIO,
    stdout: TextIO,
    stderr: TextIO,
    policy: str | None = None,
    gate: Gate | None = None,
    explain_in: Lang | None = None,
) -> int:
    """Judge every line of ``stdin``; 0 if all were allowed, 1 if any was not, 2 if any line was unusable.

    A bad line gives ``{"error", "line"}`` on ``stdout`` and a message on ``stderr``, and the next one is read.
    Answers are written as they are found. ``policy`` is the default for lines that name none; one that is not known is
    unusable at once. An ``id`` in a line comes back with its answer. With ``explain_in`` the answers are words in that
    language instead of JSON.
    """
    gate = gate or Gate.load()
    if policy is not None:
        try:
            gate.policies.resolve(policy, "en")
        except PolicyError as error:
            stderr.write(f"callgate check: --policy: {error}\n")
            return 2
    status = 0
    for number, line in enumerate(read_lines(stdin), 1):
        if isinstance(line, str) and not line.strip():
            continue
        try:
            if isinstance(line, LineError):
                raise line
            text, facts, row = parse(line, policy)
        except LineError as error:
            _write(stdout, str(error) if explain_in else {"error": str(error), "line": number})
            stderr.write(f"callgate check: line {number}: {error}\n")
            status = 2
            continue
        verdict = gate.judge(text, facts)
        if explain_in:
            _write(stdout, told(text, facts, verdict, explain_in) + "\n")
        else:
            _write(stdout, ({"id": row["id"]} if isinstance(row.get("id"), str | int) else {}) | answer(verdict))
        if verdict.decision != "allow":
            status = max(status, 1)
    return status


def told(text: str, facts: CallFacts, verdict: Verdict, lang: Lang) -> str:
    """The verdict in words, with the policy that it was judged by."""
    return explain(text, verdict, lang, facts.policy or DEFAULT_POLICY[facts.lang])


def _write(stdout: TextIO, content: str | Mapping[str, Any]) -> None:
    if isinstance(content, str):
        line = content
    else:
        line = json.dumps(content, ensure_ascii=False)
        if any("\ud800" <= char <= "\udfff" for char in line):
            line = json.dumps(content)  # half a character can be escaped, but not encoded
    stdout.write(line + "\n")
    stdout.flush()
