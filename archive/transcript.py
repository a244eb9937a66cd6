"""Reading a call back: the document that ``callgate demo --json`` prints, and a page for people.

Both are also written beside the recording.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from archive.database import Database
from archive.errors import ArchiveError, one_line
from archive.layout import ENCRYPTED_SUFFIX, Layout
from archive.models import Call
from archive.repository import CallRepository

_SPACES = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
_ACTIVE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # control characters; bidirectional overrides


def read_call(database: Database, folder: Path, call_id: str) -> dict[str, Any]:
    """The call as one JSON-ready document.

    ``{"call_id", "lang", "scenario", "disposition", "promise": {"date", "amount"} | None, "turns": [{"who",
    "start", "end", "text", "intent", "emotion", "verdict", "line"}], "response_gap_ms": {"p50", "p95", "n"},
    "recording", "flags": [{"reason", "severity", "at"}]}``. Times are seconds since answer; ``text`` is what
    was audible; ``amount`` is a decimal string; ``recording`` an absolute path, or ``None`` where there is no
    file. ``folder`` is the archive's home. Raises ``ArchiveError`` for an unknown call.
    """
    layout = Layout(folder)
    with database.read() as session:
        repository = CallRepository(session)
        call = repository.call(call_id)
        if call is None:
            raise ArchiveError(f"the archive has no call {call_id!r}")
        decisions = {v.seq: v.decision for v in repository.verdicts(call_id)}
        turns = [
            {
                "who": turn.who,
                "start": round(turn.start, 3),
                "end": round(turn.end, 3),
                "text": turn.text if turn.heard_text is None else turn.heard_text,
                "intent": turn.intent,
                "emotion": turn.emotion,
                "verdict": None if turn.verdict_seq is None else decisions.get(turn.verdict_seq),
                "line": turn.line_id,
            }
            for turn in repository.turns(call_id)
        ]
        flags = [{"reason": f.reason, "severity": f.severity, "at": round(f.at, 3)} for f in repository.flags(call_id)]
    recording = layout.absolute(call.recording).absolute() if call.recording else None
    return {
        "call_id": call.id,
        "lang": call.lang,
        "scenario": call.scenario,
        "disposition": call.disposition,
        "promise": _promise(call),
        "turns": turns,
        "response_gap_ms": {
            "p50": call.response_gap_p50_ms,
            "p95": call.response_gap_p95_ms,
            "n": call.response_gap_n,
        },
        "recording": str(recording) if recording is not None and recording.exists() else None,
        "flags": flags,
    }


def as_text(document: dict[str, Any]) -> str:
    """The document as plain text for people, one line a turn: ``[mm:ss.s] who: words``."""
    promise = document["promise"]
    gaps = document["response_gap_ms"]
    lines = [
        f"call         {document['call_id']}",
        f"language     {document['lang']}",
        f"scenario     {document['scenario'] or '-'}",
        f"disposition  {document['disposition'] or '-'}",
        f"promise      {' '.join(v for v in promise.values() if v) if promise else '-'}",
        f"response gap p50 {_ms(gaps['p50'])}, p95 {_ms(gaps['p95'])}, {gaps['n']} turns",
        f"flags        {', '.join(f['reason'] + ' (' + f['severity'] + ')' for f in document['flags']) or '-'}",
        "",
    ]
    for turn in document["turns"]:
        minutes, seconds = divmod(turn["start"], 60)
        notes = [turn[key] for key in ("line", "verdict", "intent", "emotion") if turn[key]]
        told = f"{turn['text']}  ({', '.join(notes)})" if notes else turn["text"]
        lines.append(f"[{int(minutes):02d}:{seconds:04.1f}] {turn['who']}: {told}")
    return "".join(_printable(line) + "\n" for line in lines)


def write_transcript(database: Database, folder: Path, call_id: str) -> dict[str, Any]:
    """Write ``transcript.json`` and ``transcript.txt`` beside the recording; returns the document.

    Each file is replaced as a whole, so that a reader never sees half of one. Beside an encrypted recording nothing
    is written: the words would lie there in the clear. Raises ``ArchiveError``.
    """
    document = read_call(database, folder, call_id)
    with database.read() as session:
        call = CallRepository(session).call(call_id)
        if call is None:
            raise ArchiveError(f"the archive has no call {call_id!r}")
        files = Layout(folder).call(call.id, call.started_at)
        encrypted = call.recording is not None and call.recording.endswith(ENCRYPTED_SUFFIX)
    if encrypted:
        return document
    _replace(files.transcript_json, json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    _replace(files.transcript_text, as_text(document))
    return document


def _promise(call: Call) -> dict[str, str | None] | None:
    if call.promise_date is None and call.promise_amount is None:
        return None
    return {
        "date": call.promise_date.isoformat() if call.promise_date else None,
        "amount": str(call.promise_amount) if call.promise_amount is not None else None,
    }


def _printable(line: str) -> str:
    """One line that does nothing to a terminal or to the lines around it, whatever was said in it."""
    return _ACTIVE.sub("\ufffd", _SPACES.sub(" ", line)).rstrip()


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError as e:
        raise ArchiveError(f"cannot write the transcript {path}: {e.strerror or one_line(e)}") from e
