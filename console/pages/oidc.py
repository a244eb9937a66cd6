"""Signing in at the identity provider: there, and back."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from console.guard import COOKIE, open_to_all
from console.models import OidcAttempt
from console.oidc import OidcError, Provider
from console.page import context_of, lang_of
from console.pages.session import SLOW, door, local, with_session
from console.people import People
from console.people.secrets import digest, new_token
from console.people.store import PeopleError
from console.security import AttemptLimit, client_address

ATTEMPT = "callgate_oidc"
ATTEMPT_LIFE = timedelta(minutes=10)
BEGUN = AttemptLimit(30, 300.0)
"""How often one address may set out: each leaves a row until it is too old."""
_PATH = "/sign-in/oidc"
LOST = "This sign-in was begun in another window, or more than ten minutes ago. Please begin again."


def routes(router: APIRouter) -> None:
    router.get(_PATH)(begin)
    router.get(f"{_PATH}/callback")(callback)


def _provider(request: Request) -> Provider:
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise HTTPException(404, "there is no identity provider to sign in at")
    return provider


@open_to_all
def begin(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:
    """To the provider, with a cookie that ties the way back to this browser."""
    provider, target = _provider(request), local(next)
    address = client_address(request)
    if BEGUN.blocked(address):
        return door(request, target, 429, error=SLOW)
    BEGUN.failed(address)
    try:
        begun = provider.begin()
    except OidcError as e:
        return door(request, target, 502, error=str(e))
    token, kept = new_token()
    now = datetime.now(UTC)
    with context_of(request).database.write() as session:
        session.execute(sa.delete(OidcAttempt).where(OidcAttempt.expires_at < now))
        session.add(
            OidcAttempt(
                token=kept, state=digest(begun.state), nonce=begun.nonce, verifier=begun.verifier, next=target,
                expires_at=now + ATTEMPT_LIFE,
            )
        )  # fmt: skip
    response = RedirectResponse(begun.url, 303)
    response.set_cookie(
        ATTEMPT, token, max_age=int(ATTEMPT_LIFE.total_seconds()), httponly=True, samesite="lax",
        secure=context_of(request).secure_cookies, path=_PATH,
    )  # fmt: skip
    return response


Back = Annotated[str, Query(max_length=4096)]


@open_to_all
def callback(request: Request, state: Back = "", code: Back = "", error: Back = "", iss: Back = "") -> Response:
    """From the provider. Only the browser that set out may come back, once, with the state that it was given."""
    provider = _provider(request)
    attempt = _taken(request)
    if attempt is None or not hmac.compare_digest(attempt.state, digest(state)):
        return _refused(request, "/", 400, LOST)
    if iss and iss != provider.settings.issuer:  # RFC 9207: another provider's answer was mixed in
        return _refused(request, attempt.next, 400, "the identity provider's answer is somebody else's")
    if error or not code:
        return _refused(request, attempt.next, 401, "the identity provider did not accept the sign-in")
    settings = provider.settings
    try:
        claims = provider.finish(code, attempt.nonce, attempt.verifier)
        subject, role = f"{settings.issuer}\n{claims['sub']}", settings.role_of(claims)
        if role is None:
            with context_of(request).database.write() as session:
                People(session).end_sessions_of(subject)
            return _refused(request, attempt.next, 403, "your account at the identity provider has no role here")
        name = claims.get(settings.name_claim)
        with context_of(request).database.write() as session:
            people = People(session)
            name = name if isinstance(name, str) else ""
            token = people.sign_in_elsewhere(subject, name, role, lang_of(request))
            if old := request.cookies.get(COOKIE):
                people.sign_out(old)
    except OidcError as e:
        return _refused(request, attempt.next, 401, str(e))
    except PeopleError as e:
        return _refused(request, attempt.next, 403, str(e))
    response = with_session(request, RedirectResponse(attempt.next, 303), token)
    response.delete_cookie(ATTEMPT, path=_PATH)
    return response


def _taken(request: Request) -> OidcAttempt | None:
    """The attempt of this browser, which is used up by that."""
    token = request.cookies.get(ATTEMPT)
    if not token:
        return None
    with context_of(request).database.write() as session:
        attempt = session.get(OidcAttempt, digest(token))
        if attempt is None:
            return None
        session.delete(attempt)
    return attempt if attempt.expires_at > datetime.now(UTC) else None


def _refused(request: Request, target: str, status: int, reason: str) -> Response:
    with context_of(request).database.write() as session:
        People(session).refused(reason)
    response = door(request, target, status, error=reason)
    response.delete_cookie(ATTEMPT, path=_PATH)
    return response
