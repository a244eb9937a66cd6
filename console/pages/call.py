"""One call: what was heard and said, with every decision beside it; comments, corrections, scorecard."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from archive.audio_file import Recording
from archive.covering import Stretch
from archive.evidence import open_recording, read_waveform
from archive.models import Call, Turn, VerdictRow
from archive.peaks import Waveform
from archive.queries import CallQueries
from archive.repository import CallRepository
from compliance_checks.explain import category_name
from console.calibration import Calibrations
from console.evidence import PURPOSES
from console.guard import needs
from console.insights import insights
from console.names import names_in
from console.page import context_of, lang_of, person_of, render
from console.privacy import hide, hide_values
from console.redaction import covered
from console.review import Reviews
from console.scorecard import load_card
from sentiment.labels import INTENTS, SHOWN_EMOTIONS

MAX_BINS = 4000
_RANGE = re.compile(r"bytes=(\d{0,12})-(\d{0,12})\Z")
_CALL_ID = re.compile(r"[0-9A-Za-z-]{1,36}\Z")
DECISIONS = ("allow", "rewrite", "refuse", "escalate", "end_call")


def routes(router: APIRouter) -> None:
    router.get("/calls/{call_id}")(call_page)
    router.get("/calls/{call_id}/peaks.json")(peaks)
    router.get("/calls/{call_id}/recording.wav")(recording)
    router.post("/calls/{call_id}/comments")(comment)
    router.post("/calls/{call_id}/corrections")(correct)
    router.post("/calls/{call_id}/scorecard")(score)
    router.post("/calls/{call_id}/review")(review)


@needs("calls.read")
def call_page(request: Request, call_id: str) -> Response:
    context, person, lang = context_of(request), person_of(request), lang_of(request)
    with context.database.read() as session:
        repository = CallRepository(session)
        call = known(repository, call_id)
        turns, verdicts = repository.turns(call_id), {v.seq: v for v in repository.verdicts(call_id)}
        reviews = Reviews(session)
        values: dict[str, Any] = {
            "call": call,
            "listed": CallQueries(session).get(call_id),
            "flags": repository.flags(call_id),
            "events": [e for e in repository.events(call_id) if e.kind not in ("digit",)],
            "comments": reviews.comments(call_id),
            "corrections": reviews.corrections(call_id),
            "cards": Calibrations(session).visible(call_id, reviews.scorecards(call_id), person.name),
            "second": reviews.second(call_id),
            "purposes": PURPOSES,
            "assigned": reviews.assigned([call_id]).get(call_id),
            "recorded": repository.recording(call_id) is not None,
            "covered": bool(covered(repository, call, person, context.scripts)),
        }
    clear = person.may("personal.read")
    values["own"] = next((dict(c.answers) for c in values["cards"] if c.reviewer == person.name), {})
    hidden = None if clear else names_in(verdicts.values(), call, context.scripts)
    spoken = {t.verdict_seq for t in turns if t.verdict_seq is not None}
    values |= {
        "rows": [
            turn_row(t, verdicts.get(-1 if t.verdict_seq is None else t.verdict_seq), lang, hidden) for t in turns
        ],
        "unspoken": [verdict_row(v, lang, hidden) for v in verdicts.values() if v.seq not in spoken],
        "curve": [
            {"at": round(t.start, 2), "emotion": t.emotion, "valence": t.valence, "arousal": t.arousal, "seq": t.seq}
            for t in turns
            if t.who == "borrower"
        ],
        "seconds": duration(call, turns),
        "figures": insights(call, turns, duration(call, turns)) if turns else None,
        "card": load_card(),
        "intents": list(INTENTS.values()),
        "emotions": list(SHOWN_EMOTIONS.values()),
        "decisions": DECISIONS,
        "clear": clear,
        "said": (lambda text: text if hidden is None else hide(text, hidden)),
    }
    return render(request, "call.html", **values)


def known(repository: CallRepository, call_id: str) -> Call:
    """The call. Raises ``HTTPException`` 404; an id that cannot be one never reaches the database."""
    call = repository.call(call_id) if _CALL_ID.match(call_id) else None
    if call is None:
        raise HTTPException(404, "there is no such call")
    return call


def duration(call: Call, turns: list[Turn] | Any) -> float:
    begun: datetime = call.answered_at or call.started_at
    ended = call.ended_at
    last = max((t.end for t in turns), default=0.0)
    return max(last, (ended - begun).total_seconds() if ended is not None else 0.0)


def turn_row(turn: Turn, verdict: VerdictRow | None, lang: str, hidden: tuple[str, ...] | None) -> dict[str, Any]:
    """A turn as the page shows it; ``hidden`` are names to cover, ``None`` for who may see everything.

    What an interruption swallowed is told apart from what was heard.
    """
    heard = turn.text if turn.heard_text is None else turn.heard_text
    unheard = turn.text[len(heard) :] if turn.text.startswith(heard) else ""
    slots = {name: _slot(value) for name, value in (turn.slots or {}).items()}
    if hidden is not None:
        heard, unheard, slots = hide(heard, hidden), hide(unheard, hidden), hide_values(slots, hidden)
    return {
        "seq": turn.seq,
        "who": turn.who,
        "start": round(turn.start, 2),
        "end": round(turn.end, 2),
        "heard": heard,
        "unheard": unheard,
        "interrupted": turn.interrupted,
        "intent": turn.intent,
        "intents": [i for i in turn.intents or [] if i.get("intent") != turn.intent],
        "slots": slots,
        "emotion": turn.emotion,
        "confidence": turn.confidence,
        "line": turn.line_id,
        "script_hash": turn.script_hash,
        "gap": turn.response_gap_ms,
        "verdict": None if verdict is None else verdict_row(verdict, lang, hidden),
    }


def verdict_row(verdict: VerdictRow, lang: str, hidden: tuple[str, ...] | None) -> dict[str, Any]:
    rules = [
        {
            "id": hit.get("id"),
            "category": category_name(hit.get("category") or "", "zh" if lang == "zh" else "en"),
            "clause": hit.get("clause"),
            "review": hit.get("review"),
            "why": (hit.get("explanation") or {}).get(lang) or "",
            "start": hit.get("start"),
            "end": hit.get("end"),
        }
        for hit in verdict.rules or []
    ]
    proposed = verdict.proposed if hidden is None else hide(verdict.proposed, hidden)
    return {
        "seq": verdict.seq,
        "at": round(verdict.at, 2),
        "decision": verdict.decision,
        "rules": rules,
        "proposed": proposed,
        "line": verdict.line_id,
        "spans": tuple(
            (int(r["start"]), int(r["end"])) for r in rules if r["start"] is not None and r["end"] is not None
        ),
    }


def _slot(value: Any) -> str:
    if isinstance(value, dict):
        found = value.get("value")
        return str(found) if found is not None else " / ".join(map(str, value.get("candidates") or ())) or "?"
    return str(value)


@needs("calls.read")
def peaks(request: Request, call_id: str, bins: int = 1500) -> Response:
    """The waveform of both channels: shapes, no speech. ``covered`` are the stretches under a tone."""
    wave, hidden = waveform(request, call_id)
    seconds = len(wave.values) * wave.bin_frames / 8000
    shown = [{"channel": each.channel, "start": round(each.start, 2), "end": round(each.end, 2)} for each in hidden]
    return JSONResponse({"peaks": wave.drawn(max(1, min(bins, MAX_BINS))), "seconds": seconds, "covered": shown})


def waveform(request: Request, call_id: str) -> tuple[Waveform, list[Stretch]]:
    """As whoever asks may see it, and what they may not. Raises ``HTTPException`` 404."""
    context = context_of(request)
    with context.database.read() as session:
        repository = CallRepository(session)
        hidden = covered(repository, known(repository, call_id), person_of(request), context.scripts)
    wave = read_waveform(context.database, call_id)
    if wave is None:
        raise HTTPException(404, "the recording is not sealed yet, or was destroyed")
    return wave.covered(hidden), hidden


@needs("calls.listen")
async def recording(request: Request, call_id: str) -> Response:
    """The recording as WAV, whole or a byte range, with a tone over what the person may not hear. Every reading is
    audited."""
    if not _CALL_ID.match(call_id):
        raise HTTPException(404, "there is no such call")
    first, last = _range(request.headers.get("range"))
    sound = await run_in_threadpool(_open, request, call_id)
    size = sound.size
    if first is None and last is not None:  # the last bytes
        begin, end = max(0, size - last), size
    else:
        begin, end = first or 0, size if last is None else min(last + 1, size)
    if begin >= end:
        sound.close()
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    whole = first is None and last is None
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(end - begin), "Cache-Control": "no-store"}
    if not whole:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    return _Playing(sound, begin, end, 200 if whole else 206, headers)


def _open(request: Request, call_id: str) -> Recording:
    context, person = context_of(request), person_of(request)
    with context.database.read() as session:
        repository = CallRepository(session)
        hidden = covered(repository, known(repository, call_id), person, context.scripts)
    return open_recording(context.database, context.store, call_id, actor=person.name, covered=hidden)


class _Playing(StreamingResponse):
    """A part of a recording. Its file is closed however the answer ends: a player that skips breaks it off."""

    def __init__(self, sound: Recording, begin: int, end: int, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(sound.bytes_of(begin, end), status, headers, "audio/wav")
        self._sound = sound

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._sound.close()


def _range(header: str | None) -> tuple[int | None, int | None]:
    """``(first, last)``, both inclusive; ``(None, n)`` the last n bytes; ``(None, None)`` all."""
    if header is None:
        return None, None
    found = _RANGE.match(header)
    if found is None or found.group(0) == "bytes=-":
        return None, None  # RFC 9110: what cannot be read is ignored
    return (int(found[1]) if found[1] else None), (int(found[2]) if found[2] else None)


@needs("review.write")
def comment(
    request: Request,
    call_id: str,
    text: Annotated[str, Form(max_length=5000)],
    at: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    moment: float | None = None
    if at:
        try:
            moment = float(at)
        except ValueError:
            moment = math.nan
        if not 0 <= moment <= 86400:
            raise HTTPException(422, "at: seconds since the call was answered")
    with context_of(request).database.write() as session:
        known(CallRepository(session), call_id)
        try:
            Reviews(session).comment(call_id, text, moment, by=person_of(request).name)
        except ValueError as e:
            raise HTTPException(422, str(e)) from e
    return RedirectResponse(f"/calls/{call_id}#comments", 303)


@needs("review.write")
def correct(
    request: Request,
    call_id: str,
    turn: Annotated[int, Form(ge=0, le=100000)],
    field: Annotated[str, Form()],
    value: Annotated[str, Form(max_length=400)],
) -> Response:
    """A reviewer's word against a model's: kept beside it, never instead of it."""
    choices = {"intent": set(INTENTS), "emotion": set(SHOWN_EMOTIONS), "verdict": set(DECISIONS)}
    if field not in choices and field != "text":
        raise HTTPException(422, "field: intent, emotion, verdict or text")
    if field in choices and value not in choices[field]:
        raise HTTPException(422, f"{field}: not one of its labels")
    with context_of(request).database.write() as session:
        repository = CallRepository(session)
        known(repository, call_id)
        row = next((t for t in repository.turns(call_id) if t.seq == turn), None)
        if row is None:
            raise HTTPException(404, "the call has no such turn")
        if field == "verdict":
            verdict = next((v for v in repository.verdicts(call_id) if v.seq == row.verdict_seq), None)
            before = verdict.decision if verdict is not None else ""
        else:
            before = str(getattr(row, field) or "")
        Reviews(session).correct(call_id, turn, field, before, value, by=person_of(request).name)
    return RedirectResponse(f"/calls/{call_id}#turn-{turn}", 303)


@needs("review.write")
async def score(request: Request, call_id: str) -> Response:
    """Save this reviewer's scorecard."""
    form = await request.form(max_files=0, max_fields=100)
    card = load_card()
    answers = {str(k): str(v)[:400] for k, v in form.items()}
    try:
        answers = card.check(answers)
    except ValueError as e:
        raise HTTPException(422, str(e)) from e

    def save() -> None:
        with context_of(request).database.write() as session:
            known(CallRepository(session), call_id)
            Reviews(session).score(call_id, card.id, answers, card.score(answers), by=person_of(request).name)

    await run_in_threadpool(save)
    return RedirectResponse(f"/calls/{call_id}#scorecard", 303)


@needs("review.write")
def review(request: Request, call_id: str, state: Annotated[str, Form()]) -> Response:
    if state not in ("open", "done"):
        raise HTTPException(422, "state: open or done")
    with context_of(request).database.write() as session:
        known(CallRepository(session), call_id)
        CallQueries(session).set_review([call_id], "done" if state == "done" else "open", actor=person_of(request).name)
    return RedirectResponse(f"/calls/{call_id}", 303)
