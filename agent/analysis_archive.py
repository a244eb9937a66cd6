"""A recorded call into the archive: a call like any other, with its turns, verdicts, flags and a copy of its sound."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from agent.analysis import AnalysedTurn, Analysis
from agent.events import Disposition, Word
from archive.database import Database
from archive.errors import ArchiveError
from archive.recorder import Recorder
from archive.writer import CallArchive, NewCall, Promise
from asr.audiofile import Recording
from audio.g711 import to_pcm16
from audio.telephone import RATE, resample
from sentiment.understand import Understanding

_BLOCK_S = 4.0
_NAMESPACE = uuid.UUID("6f2a1c54-2f0b-5c1e-9d0e-ca11ca7e0001")
_OUTCOMES: tuple[tuple[str, Disposition], ...] = (
    ("voicemail", "voicemail"),
    ("stop_contact", "stop_contact"),
    ("dispute_debt", "disputed"),
    ("promise_to_pay", "promise_to_pay"),
    ("already_paid", "paid_claimed"),
    ("request_plan", "plan_requested"),
    ("hardship", "plan_requested"),
    ("dispute_amount", "disputed"),
    ("callback_later", "callback_booked"),
    ("refuse_to_pay", "refused"),
    ("third_party", "third_party_reached"),
    ("deny_identity", "wrong_number"),
)


def call_id_of(path: Path) -> str:
    """The id under which a file is archived: the same for the same bytes, so that no call is archived twice."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return str(uuid.uuid5(_NAMESPACE, digest.hexdigest()))


def archive_call(
    database: Database,
    home: Path,
    path: Path,
    recording: Recording,
    analysis: Analysis,
    *,
    started_at: datetime | None = None,
    models: Mapping[str, str] | None = None,
) -> str:
    """Enter the call; returns its id. ``started_at``: aware; default: when the file was last written.

    A mono recording is copied to both channels: what was mixed cannot be taken apart without loss. Raises
    ``ArchiveError``, also where this very recording is archived already.
    """
    moment = started_at or datetime.fromtimestamp(path.stat().st_mtime, UTC)
    call = NewCall(analysis.lang, call_id_of(path), scenario="recording", models=models or {}, started_at=moment)
    clock = _Clock()
    archive = CallArchive.begin(database, home, call, clock=clock)
    try:
        archive.answered()
        archive.event("imported", at=0.0, file=path.name, channels=analysis.channels)
        for turn in analysis.turns:
            clock.now = max(clock.now, turn.row.end)
            _enter(archive, turn)
        for flag in analysis.flags:
            archive.flag(flag.reason, flag.severity, at=flag.at)
        _copy(archive, recording, analysis)
        clock.now = max(clock.now, recording.seconds)
        archive.finish(*outcome(analysis))
    finally:
        in_time = archive.close(60.0)
    if archive.error is not None:
        raise archive.error
    if not in_time:
        raise ArchiveError(f"the archive is still writing the call {archive.call_id}")
    return archive.call_id


def outcome(analysis: Analysis) -> tuple[Disposition, Promise | None]:
    """How the call ended, as far as the borrower's words tell: the gravest of what they wanted in the whole call."""
    heard = [turn.understood for turn in analysis.turns if turn.understood is not None]
    if not heard:
        return "no_response", None
    wanted = {u.intent: u for u in heard}
    for intent, disposition in _OUTCOMES:
        if intent in wanted:
            return disposition, _promise(wanted[intent]) if disposition == "promise_to_pay" else None
    return "hung_up", None  # both did, sooner or later, and nothing was agreed


def _promise(understood: Understanding) -> Promise:
    day, amount = understood.slots.get("date"), understood.slots.get("amount")
    try:
        when = datetime.fromisoformat(day.value).date() if day is not None and day.value else None
        money = Decimal(amount.value) if amount is not None and amount.value else None
    except (ValueError, InvalidOperation):
        return Promise()
    return Promise(when, money)


def _enter(archive: CallArchive, turn: AnalysedTurn) -> None:
    row, u = turn.row, turn.understood
    words = [Word(w.text, w.start, w.end, w.probability) for w in row.words]
    if turn.who == "agent":
        number = None
        if turn.verdict is not None:
            number = archive.verdict(turn.verdict, text=row.text, at=row.start)
        archive.turn("agent", row.start, row.end, row.text, words=words, confidence=row.confidence, verdict=number)
        return
    archive.turn(
        "borrower",
        row.start,
        row.end,
        row.text,
        words=words,
        confidence=row.confidence,
        intent=u.intent if u else None,
        intents=u.intents if u else (),
        slots=u.slots if u else None,
        emotion=u.emotion if u and turn.emotion else None,
        scores=u.scores if u and turn.emotion else None,
        arousal=u.arousal if u and turn.emotion else None,
        valence=u.valence if u and turn.emotion else None,
    )


class _Clock:
    """Time in the recording, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _copy(archive: CallArchive, recording: Recording, analysis: Analysis) -> None:
    """The sound in the house's format: left the borrower, right the agent, 8 kHz."""
    sides: tuple[int | None, int | None] = (None, None)
    if any(turn.row.channel is not None for turn in analysis.turns):
        agent = next((voice for voice, role in analysis.roles.of.items() if role == "agent"), None)
        borrower = next((voice for voice, role in analysis.roles.of.items() if role == "borrower"), None)
        agent = 1 - borrower if agent is None and borrower is not None else agent
        sides = (1 - agent, agent) if agent is not None else (0, 1)
    clock = _Clock()
    with Recorder(archive.files.recording, clock, start=0.0, background=False) as recorder:
        for start in np.arange(0.0, recording.seconds, _BLOCK_S):
            at = float(start)
            end = min(recording.seconds, at + _BLOCK_S)
            for side, channel in (("borrower", sides[0]), ("agent", sides[1])):
                pcm = to_pcm16(resample(recording.read(channel, at, end), recording.rate, RATE))
                recorder.write("borrower" if side == "borrower" else "agent", pcm, at=at)
            clock.now = end
            recorder.flush()
        recorder.close(at=recording.seconds)
    if recorder.error is not None:
        raise recorder.error
