"""The door of every route: nothing is served that does not say who may have it.

A route declares ``@needs("permission")`` or ``@open_to_all``; one that declares nothing cannot be registered. A
browser signs in with a cookie, a program with ``Authorization: Bearer KEY``. What a browser changes must come from a
page of ours (Origin or Sec-Fetch-Site; OWASP, "CSRF prevention": verifying origin). A body is read up to the route's
limit and no further, whatever its headers say of its length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from fastapi import HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException
from starlette.types import Message

from archive.database import Database
from console.people import People, SignedIn
from console.permissions import Permission

COOKIE = "callgate_session"
TOUCH = timedelta(minutes=1)
"""A session's use is written down at most this often: reading pages must not queue for the write lock."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PATIENCE_S, SLOWEST = 20.0, 128 * 1024
"""How long a body may take, in seconds: so long, and as long as its largest size takes at so many bytes a second.
Whoever sends a byte now and then would else hold a connection, and what was read, for ever."""
MAX_BODY = 1024 * 1024
"""Bytes of a request where the route does not say otherwise; the largest form is a campaign's settings."""
F = TypeVar("F", bound=Callable[..., Any])


def needs(permission: Permission) -> Callable[[F], F]:
    """Only who holds ``permission`` is let through."""

    def mark(endpoint: F) -> F:
        endpoint.needs = permission  # type: ignore[attr-defined]
        return endpoint

    return mark


def open_to_all(endpoint: F) -> F:
    """Anybody, signed in or not: the sign-in page, the assets, the health check."""
    endpoint.needs = None  # type: ignore[attr-defined]
    return endpoint


def takes(max_body: int) -> Callable[[F], F]:
    """The route takes uploads of up to ``max_body`` bytes."""

    def mark(endpoint: F) -> F:
        endpoint.max_body = max_body  # type: ignore[attr-defined]
        return endpoint

    return mark


class GuardedRoute(APIRoute):
    """A route that checks its caller before anything of the request is read."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if not hasattr(endpoint, "needs"):
            raise TypeError(f"{path}: the route does not say who may use it")
        self.permission: Permission | None = endpoint.needs
        self.max_body: int = getattr(endpoint, "max_body", MAX_BODY)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        original = super().get_route_handler()
        permission, max_body = self.permission, self.max_body

        async def guarded(request: Request) -> Response:
            person = await run_in_threadpool(identify, request)
            request.state.person = person
            if permission is not None:
                if person is None:
                    return _sign_in_first(request)
                if not person.may(permission):
                    raise HTTPException(403, "not allowed")
            if request.method not in SAFE and not _ours(request):
                raise HTTPException(403, "the request does not come from a page of ours")
            body = Body(request, max_body)
            try:
                return await original(body.request)
            except Exception as e:
                if body.broken_off:
                    raise body.refusal() from e
                raise

        return guarded


class Body:
    """A request's body, which breaks off after ``limit`` bytes, and where it takes longer than a slow line would. A
    chunked body says nothing of its length, and what says it may lie: what counts is what arrives. Raises
    ``HTTPException`` 413 where the header says too much already.
    """

    def __init__(self, request: Request, limit: int) -> None:
        self._receive, self._limit, self._read = request.receive, limit, 0
        self._until = monotonic() + PATIENCE_S + limit / SLOWEST
        self._whole = self.too_slow = False
        said = request.headers.get("content-length", "0")
        if not (said.isascii() and said.isdigit() and int(said) <= limit):
            raise self.refusal()
        self.request = Request(request.scope, self._counted)

    @property
    def too_large(self) -> bool:
        return self._read > self._limit

    @property
    def broken_off(self) -> bool:
        return self.too_large or self.too_slow

    def refusal(self) -> HTTPException:
        """The rest is not waited for: the connection ends with the answer."""
        if self.too_slow:
            return HTTPException(408, "the body took too long", headers={"Connection": "close"})
        return HTTPException(413, f"a body has at most {self._limit} bytes", headers={"Connection": "close"})

    async def _counted(self) -> Message:
        if self._whole:
            return await self._receive()  # whoever waits for the reader to leave may wait
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._until - monotonic()))
        except TimeoutError:
            self.too_slow = True
            raise MultiPartException("too slow") from None
        self._whole = not message.get("more_body", False)
        self._read += len(message.get("body", b""))
        if self.too_large:
            raise MultiPartException("too large")  # at this one the parser closes the files that it has begun
        return message


def identify(request: Request) -> SignedIn | None:
    """Who makes the request. A key beats a cookie, and a wrong key is nobody, whatever the cookie says."""
    database: Database = request.app.state.context.database
    header = request.headers.get("authorization", "")
    if header:
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer" or not key:
            return None
        with database.read() as session:
            return People(session).by_key(key.strip())
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    with database.read() as session:
        people = People(session)
        person = people.by_session(token)
    if person is not None and people.idle > TOUCH:
        with database.write() as session:
            People(session).touch(token)
    return person


def _ours(request: Request) -> bool:
    if request.headers.get("authorization"):
        return True  # no browser sends a key by itself
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin") or request.headers.get("referer")
    if origin is None:
        return site is not None
    return urlsplit(origin).netloc == request.headers.get("host")


def _sign_in_first(request: Request) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "") and request.method == "GET"
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    if wants_page:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(path)}", 303)
    raise HTTPException(401, "sign in first", headers={"WWW-Authenticate": "Bearer"})
