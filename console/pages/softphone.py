"""The softphone: a call with the agent from the browser, in a borrower's part. Needs no carrier.

Three requests make a call: prepare (a ticket), the offer (RFC 9725 does it alike: an SDP body in, an SDP body out),
and the hang-up. Each comes from a page of ours, by somebody who may, within limits.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from archive.audit import AuditLog
from console.guard import needs, takes
from console.i18n import LANGS, translator
from console.page import context_of, lang_of, person_of, render
from console.security import AttemptLimit
from console.softphone import Softphone, SoftphoneRefused

CALLS = AttemptLimit(10, 60.0)
"""Calls that one person may prepare: ten a minute."""
MAX_OFFER, MAX_CASE = 24 * 1024, 64 * 1024
SDP = "application/sdp"


def routes(router: APIRouter) -> None:
    router.get("/softphone")(softphone_page)
    router.post("/softphone/calls")(prepare)
    router.post("/softphone/calls/{ticket}/offer")(offer)
    router.get("/softphone/calls/{call_id}")(state)
    router.post("/softphone/calls/{call_id}/hang-up")(hang_up)


@needs("softphone.use")
def softphone_page(request: Request, call_lang: str = "") -> Response:
    """The keypad, and the case file that the call is about; ``call_lang`` is the language of the call."""
    phone = context_of(request).softphone
    chosen = call_lang if call_lang in LANGS else lang_of(request)
    if phone is None:
        return render(request, "softphone.html", runs=False, lacking=None, chosen=chosen)
    return render(
        request, "softphone.html", runs=True, lacking=phone.missing(), chosen=chosen, case=phone.case(chosen),
        scripts=phone.scripts()[chosen], max_offer=MAX_OFFER,
    )  # fmt: skip


@needs("softphone.use")
@takes(MAX_CASE)
async def prepare(request: Request) -> Response:
    """``{"lang", "script", "case"}`` in, ``{"ticket", "call_id", "as_if", "rule", "ice_servers"}`` out."""
    phone, person = _phone(request), person_of(request).name
    if CALLS.blocked(person):
        raise HTTPException(429, "too many calls; try again in a minute")
    CALLS.failed(person)
    wanted = await _json(request)
    lang, script, case = wanted.get("lang"), wanted.get("script"), wanted.get("case")
    if not isinstance(lang, str) or not isinstance(script, str) or not isinstance(case, dict):
        raise HTTPException(422, "a call needs a language, a script and a case file")
    try:
        prepared = await phone.prepare(person, lang, script, case)
    except SoftphoneRefused as e:
        raise _refused(request, e) from e
    # Written down first: without the ticket that is given out here there is no call.
    await run_in_threadpool(_audit, request, str(prepared["call_id"]))
    return JSONResponse(dict(prepared), 201)


@needs("softphone.use")
@takes(MAX_OFFER)
async def offer(request: Request, ticket: str) -> Response:
    """The browser's session description in, ours out, and the call begins."""
    phone, person = _phone(request), person_of(request).name
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != SDP:
        raise HTTPException(415, "an offer is application/sdp")
    try:
        sdp = (await request.body()).decode()
    except UnicodeDecodeError:
        raise HTTPException(422, "the offer is not a session description") from None
    try:
        call_id, answer = await phone.answer(person, ticket, sdp)
    except SoftphoneRefused as e:
        raise _refused(request, e) from e
    return Response(answer, 201, {"Location": f"/softphone/calls/{call_id}"}, SDP)


@needs("softphone.use")
def state(request: Request, call_id: str) -> Response:
    """How one's own call stands, and once it has ended how it ended."""
    try:
        found = _phone(request).state(person_of(request).name, call_id)
    except SoftphoneRefused as e:
        raise _refused(request, e) from e
    disposition = found["disposition"]
    name = translator(lang_of(request))(disposition) if disposition else ""
    return JSONResponse({"live": found["live"], "disposition": disposition, "name": name})


@needs("softphone.use")
async def hang_up(request: Request, call_id: str) -> Response:
    """Put down the telephone: also what a page that is being left does."""
    try:
        await _phone(request).hang_up(person_of(request).name, call_id)
    except SoftphoneRefused as e:
        raise _refused(request, e) from e
    return Response(status_code=204)


def _phone(request: Request) -> Softphone:
    phone = context_of(request).softphone
    if phone is None:
        raise HTTPException(404, "no calls run in this process")
    return phone


async def _json(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(422, "the request is not JSON")
    return found


def _refused(request: Request, error: SoftphoneRefused) -> HTTPException:
    return HTTPException(error.status, translator(lang_of(request))(str(error)))


def _audit(request: Request, call_id: str) -> None:
    with context_of(request).database.write() as session:
        AuditLog(session).append("softphone.called", actor=person_of(request).name, subject=call_id)
