"""Calls: lists by the queue's filters, one call with everything, its recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from archive.errors import ArchiveError
from archive.models import Call, Turn, VerdictRow
from archive.queries import CallFilter, CallQueries, Listed
from archive.repository import CallRepository
from console.api.models.base import Problem
from console.api.models.calls import (
    CallList,
    CallOut,
    CallsAsked,
    EventOut,
    FiguresOut,
    FlagOut,
    ListedCall,
    PageAsked,
    PeaksOut,
    PromiseOut,
    Rule,
    TurnOut,
    VerdictOut,
)
from console.api.route import add
from console.guard import needs
from console.insights import insights
from console.names import names_in
from console.page import context_of, person_of
from console.pages.call import MAX_BINS, duration, known, waveform
from console.pages.call import recording as whole_or_range
from console.pages.queue import read_filter
from console.privacy import hide, hide_values
from console.redaction import found_in_the_open
from console.review import Reviews

_SOUND: dict[int | str, dict[str, Any]] = {
    200: {"content": {"audio/wav": {}}, "description": "The whole recording"},
    206: {"content": {"audio/wav": {}}, "description": "The asked range"},
    416: {"description": "Beyond the end"},
}
_GONE: dict[int | str, dict[str, Any]] = {409: {"model": Problem, "description": "Sealed never, or purged"}}


def routes(router: APIRouter) -> None:
    add(router, "GET", "/calls", list_calls, CallList)
    add(router, "GET", "/calls/{call_id}", one_call, CallOut)
    add(router, "GET", "/calls/{call_id}/recording", recording, more=_SOUND | _GONE)
    add(router, "GET", "/calls/{call_id}/peaks", peaks, PeaksOut)


def filter_of(asked: CallsAsked, zone: str) -> CallFilter:
    """The archive's filter. Raises ``HTTPException`` 422 for a day that no clock can tell."""
    plain = asked.model_dump(by_alias=True, exclude_none=True, exclude={"order", "cursor", "limit"})
    return read_filter({key: _word(value) for key, value in plain.items()}, zone)


def _word(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


@needs("calls.read")
def list_calls(request: Request, asked: Annotated[PageAsked, Query()]) -> CallList:
    """A page of calls that have ended."""
    context = context_of(request)
    wanted = filter_of(asked, context.zone)
    with context.database.read() as session:
        calls = CallQueries(session)
        page = calls.page(wanted, order=asked.order, cursor=asked.cursor, limit=asked.limit)
        reviewers = Reviews(session).assigned([c.call_id for c in page.calls])
        shown: Sequence[Listed] = page.calls
        if wanted.text and not person_of(request).may("personal.read"):
            shown, _ = found_in_the_open(session, page.calls, wanted.text, context.scripts)
            total = len(shown)  # how many calls hold a word would tell that a name fell
        else:
            total = calls.count(wanted)
    return CallList(calls=[_listed(c, reviewers.get(c.call_id)) for c in shown], next=page.next, total=total)


def _listed(listed: Listed, reviewer: str | None) -> ListedCall:
    row = listed.summary
    same = {name: getattr(row, name) for name in ListedCall.model_fields if hasattr(row, name)}
    return ListedCall(
        **same, id=row.call_id, started_at=listed.started_at, reasons=list(listed.reasons), reviewer=reviewer
    )


@needs("calls.read")
def one_call(request: Request, call_id: str) -> CallOut:
    """A call, live ones too, with its turns, verdicts, events and flags."""
    context, clear = context_of(request), person_of(request).may("personal.read")
    with context.database.read() as session:
        repository = CallRepository(session)
        call = known(repository, call_id)
        turns, verdicts = repository.turns(call_id), repository.verdicts(call_id)
        events, flags = repository.events(call_id), repository.flags(call_id)
        listed = CallQueries(session).get(call_id)
        reviewer = Reviews(session).assigned([call_id]).get(call_id)
        recorded = repository.recording(call_id) is not None
    hidden = None if clear else names_in(verdicts, call, context.scripts)
    return CallOut(
        **{name: getattr(call, name) for name in CallOut.model_fields if hasattr(call, name)},
        promise=_promise(call), recorded=recorded, reviewer=reviewer, hidden=not clear,
        review=listed.summary.review if listed is not None else None,  # type: ignore[arg-type]
        turns=[turn_out(turn, hidden) for turn in turns],
        verdicts=[verdict_out(verdict, hidden) for verdict in verdicts],
        events=[
            EventOut(seq=e.seq, at=e.at, kind=e.kind, payload=_covered(e.payload or {}, hidden)) for e in events
        ],
        flags=[FlagOut.model_validate(flag) for flag in flags],
        figures=FiguresOut.model_validate(insights(call, turns, duration(call, turns))) if turns else None,
    )  # fmt: skip


def _promise(call: Call) -> PromiseOut | None:
    if call.promise_date is None and call.promise_amount is None:
        return None
    amount = None if call.promise_amount is None else format(call.promise_amount, "f")
    return PromiseOut(date=call.promise_date, amount=amount, currency=call.promise_currency)


def turn_out(turn: Turn, hidden: Sequence[str] | None) -> TurnOut:
    """``hidden``: the names to cover, with all long numbers; ``None``: cover nothing."""
    values = {name: getattr(turn, name) for name in TurnOut.model_fields}
    for name, empty in (("words", []), ("intents", []), ("slots", {}), ("scores", {})):
        values[name] = values[name] or empty
    if hidden is not None:
        names = tuple(hidden)
        values |= {
            "text": hide(turn.text, names),
            "heard_text": None if turn.heard_text is None else hide(turn.heard_text, names),
            "slots": _covered(values["slots"], hidden),
            "words": [],
        }
    return TurnOut(**values)


def verdict_out(verdict: VerdictRow, hidden: Sequence[str] | None) -> VerdictOut:
    values = {name: getattr(verdict, name) for name in VerdictOut.model_fields if name != "rules"}
    if hidden is not None:
        values |= {name: hide(values[name], tuple(hidden)) for name in ("proposed", "text")}
    return VerdictOut(**values, rules=[Rule(**_rule(hit)) for hit in verdict.rules or []])


def _rule(hit: dict[str, Any]) -> dict[str, Any]:
    known_fields = {name: hit.get(name) for name in Rule.model_fields if hit.get(name) is not None}
    return {"id": "?"} | known_fields


def _covered(value: Any, hidden: Sequence[str] | None) -> Any:
    return value if hidden is None else hide_values(value, tuple(hidden))


@needs("calls.listen")
async def recording(request: Request, call_id: str) -> Response:
    """The recording as WAV (borrower left, agent right, 8 kHz), whole or a byte range. Every reading is audited. A tone
    lies over digits by which the borrower proved who they are, and, without ``personal.read``, over names and numbers.
    """

    def there() -> None:
        with context_of(request).database.read() as session:
            known(CallRepository(session), call_id)

    await run_in_threadpool(there)
    try:
        return await whole_or_range(request, call_id)
    except ArchiveError as e:
        raise HTTPException(409, str(e)) from e


@needs("calls.read")
def peaks(request: Request, call_id: str, bins: Annotated[int, Query(ge=1, le=MAX_BINS)] = 1500) -> PeaksOut:
    """The waveform of both channels: shapes, no speech; flat where the recording has a tone."""
    wave, _ = waveform(request, call_id)
    return PeaksOut(peaks=wave.drawn(bins), seconds=len(wave.values) * wave.bin_frames / 8000)
