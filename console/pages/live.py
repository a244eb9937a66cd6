"""Live calls: what is said in them now, a hand on them, and the alerts of the day."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from archive.audit import AuditLog
from console.alerts import SHOWN, Alerts
from console.context import LiveCalls
from console.guard import COOKIE, needs
from console.live_feed import all_shown, events, sound
from console.live_names import LiveNames
from console.page import context_of, lang_of, person_of, render
from console.people import People
from console.permissions import Permission

_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
RATE = 8000


def routes(router: APIRouter) -> None:
    router.get("/live")(live_page)
    router.get("/events/live")(live_events)
    router.get("/live/{call_id}/sound")(listen)
    router.post("/live/{call_id}/end")(end)
    router.post("/live/{call_id}/take-over")(take_over)
    router.get("/alerts")(alerts)
    router.get("/alerts/count")(alert_count)
    router.post("/alerts/acknowledge")(acknowledge)


@needs("live.read")
async def live_page(request: Request) -> Response:
    """The calls as they stand, the alerts; the page's script keeps both fresh."""
    live = context_of(request).live
    calls = [] if live is None else await all_shown(live, lang_of(request), names_for(request))
    found = await run_in_threadpool(_alerts, request)
    return await run_in_threadpool(render, request, "live.html", calls=calls, alerts=found, runs=live is not None)


@needs("live.read")
async def live_events(request: Request) -> Response:
    """Server-sent events: ``calls``, then ``call`` for each change, ``closed`` when the session has ended."""
    live = context_of(request).live
    if live is None:
        return Response(status_code=204)  # tells an EventSource not to come back
    stream = events(live, lang_of(request), names_for(request), _still(request, "live.read"))
    return StreamingResponse(stream, headers=_STREAM, media_type="text/event-stream")


@needs("live.control")
async def listen(request: Request, call_id: str) -> Response:
    """A live call's sound as an endless WAV file (8 kHz, 16 bit, mono). Audited before the first sample."""
    try:
        pieces = _live(request).sound(call_id)
    except KeyError:
        raise HTTPException(404, "this call is not live any more") from None
    await run_in_threadpool(_audit, request, "live.listened", call_id)
    stream = _wav(sound(pieces, _still(request, "live.control")))
    return StreamingResponse(stream, headers=_STREAM, media_type="audio/wav")


@needs("live.control")
async def end(request: Request, call_id: str) -> Response:
    """Have the agent say goodbye."""
    return await _command(request, call_id, "live.ended", _live(request).end)


@needs("live.control")
async def take_over(request: Request, call_id: str) -> Response:
    """Have the agent hand the person over to a human."""
    return await _command(request, call_id, "live.taken_over", _live(request).take_over)


@needs("live.read")
def alerts(request: Request) -> Response:
    """The list of alerts, for a page that renews it."""
    return render(request, "live_alerts.html", alerts=_alerts(request))


@needs("live.read")
def alert_count(request: Request) -> Response:
    """How many alerts wait, for the header of every page."""
    with context_of(request).database.read() as session:
        count = len(Alerts(session).open())
    if "text/html" not in request.headers.get("accept", "*/*") and not request.headers.get("hx-request"):
        return JSONResponse({"alerts": count, "more": count >= SHOWN})
    return render(request, "live_count.html", count=count, more=count >= SHOWN)


@needs("live.control")
def acknowledge(
    request: Request,
    call_id: Annotated[str, Form(max_length=36)],
    group: Annotated[str, Form(max_length=64)],
    last: Annotated[int, Form(ge=0, le=2**31 - 1)],
) -> Response:
    """Take note of an alert as it was shown."""
    with context_of(request).database.write() as session:
        Alerts(session).acknowledge(call_id, group, last, by=person_of(request).name)
    if request.headers.get("hx-request"):
        answer = render(request, "live_alerts.html", alerts=_alerts(request))
        answer.headers["HX-Trigger"] = "callgate:alerts"  # the count in the header is one less
        return answer
    return RedirectResponse("/live", 303)


def names_for(request: Request) -> LiveNames | None:
    """What covers names for whoever asks; ``None`` for who may read them."""
    context = context_of(request)
    return None if person_of(request).may("personal.read") else LiveNames(context.database, context.scripts)


def _alerts(request: Request) -> Any:
    with context_of(request).database.read() as session:
        return Alerts(session).open()


def _live(request: Request) -> LiveCalls:
    live = context_of(request).live
    if live is None:
        raise HTTPException(404, "no calls run in this process")
    return live


async def _command(
    request: Request, call_id: str, kind: str, command: Callable[[str], Awaitable[None]]
) -> Response:  # fmt: skip
    if all(call["call_id"] != call_id for call in _live(request).snapshot()):
        raise HTTPException(404, "this call is not live any more")
    # Written down first: what nobody can answer for is not done.
    await run_in_threadpool(_audit, request, kind, call_id)
    try:
        await command(call_id)
    except KeyError:
        raise HTTPException(404, "this call is not live any more") from None
    except ValueError as e:
        raise HTTPException(409, str(e)) from e
    return RedirectResponse("/live", 303)


def _audit(request: Request, kind: str, call_id: str) -> None:
    with context_of(request).database.write() as session:
        AuditLog(session).append(kind, actor=person_of(request).name, subject=call_id)


def _still(request: Request, permission: Permission) -> Callable[[], Awaitable[bool]]:
    """Whether whoever opened this stream might still open it. Asking does not count as using the session, or a page
    that is left open would keep it for ever."""
    database = context_of(request).database
    header, token = request.headers.get("authorization", ""), request.cookies.get(COOKIE, "")

    def check() -> bool:
        with database.read() as session:
            people = People(session)
            person = people.by_key(header.partition(" ")[2].strip()) if header else people.by_session(token)
        return person is not None and person.may(permission)

    async def allowed() -> bool:
        return await run_in_threadpool(check)

    return allowed


async def _wav(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    endless = 0xFFFFFFFF
    yield b"RIFF" + struct.pack("<I", endless) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)
    yield b"data" + struct.pack("<I", endless)
    async for piece in pieces:
        yield piece
