"""Signing in and out, the first password, one's own account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from console.guard import COOKIE, needs, open_to_all
from console.i18n import LANGS
from console.oidc import Provider
from console.page import context_of, person_of, render
from console.people import People
from console.people.secrets import verify_password
from console.people.store import SESSION_LIFE, PeopleError
from console.permissions import GRANTS
from console.security import AttemptLimit, client_address

SLOW = "Too many attempts. Try again in five minutes."
WRONG = "Name or password is wrong."
BY_NAME, BY_ADDRESS = AttemptLimit(5, 300.0), AttemptLimit(30, 300.0)


def routes(router: APIRouter) -> None:
    router.get("/sign-in")(sign_in_page)
    router.post("/sign-in")(sign_in)
    router.post("/sign-out")(sign_out)
    router.get("/welcome/{token}")(welcome_page)
    router.post("/welcome/{token}")(welcome)
    router.get("/account")(account_page)
    router.post("/account/password")(change_password)
    router.post("/preferences")(preferences)
    router.get("/healthz")(health)


@open_to_all
def health() -> dict[str, str]:
    return {"status": "ok"}


@open_to_all
def sign_in_page(request: Request, next: str = "/") -> Response:
    if request.state.person is not None:
        return RedirectResponse(local(next), 303)
    with context_of(request).database.read() as session:
        fresh = not People(session).anybody()
    return door(request, next, fresh=fresh)


@open_to_all
def sign_in(
    request: Request,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=512)],
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    keys = f"name:{name.casefold()}", f"address:{client_address(request)}"
    if BY_NAME.blocked(keys[0]) or BY_ADDRESS.blocked(keys[1]):
        return door(request, next, 429, error=SLOW)
    with context_of(request).database.read() as session:
        stored = People(session).stored_password(name)
    proved = stored if verify_password(stored, password) else None
    with context_of(request).database.write() as session:
        token = People(session).sign_in(name, proved)
    if token is None:
        BY_NAME.failed(keys[0])
        BY_ADDRESS.failed(keys[1])
        return door(request, next, 401, error=WRONG)
    return with_session(request, RedirectResponse(local(next), 303), token)


@open_to_all
def sign_out(request: Request) -> Response:
    token = request.cookies.get(COOKIE)
    if token:
        with context_of(request).database.write() as session:
            People(session).sign_out(token)
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(COOKIE, path="/")
    return response


@open_to_all
def welcome_page(request: Request, token: str) -> Response:
    with context_of(request).database.read() as session:
        person = People(session).invited(token)
        name = person.name if person is not None else None
        request.state.invited_lang = person.lang if person is not None else None
    if name is None:
        raise HTTPException(404, "this link was used already, or is older than a day")
    return render(request, "welcome.html", name=name, token=token, error=None)


@open_to_all
def welcome(
    request: Request,
    token: str,
    password: Annotated[str, Form(max_length=512)],
    again: Annotated[str, Form(max_length=512)],
) -> Response:
    with context_of(request).database.read() as session:
        person = People(session).invited(token)
        name = person.name if person is not None else None
        request.state.invited_lang = person.lang if person is not None else None
    if name is None:
        raise HTTPException(404, "this link was used already, or is older than a day")
    if password != again:
        return render(request, "welcome.html", 422, name=name, token=token, error="differ")
    try:
        with context_of(request).database.write() as session:
            signed_in = People(session).accept(token, password)
    except PeopleError as e:
        return render(request, "welcome.html", 422, name=name, token=token, error=str(e))
    return with_session(request, RedirectResponse("/", 303), signed_in)


@needs("account")
def account_page(request: Request) -> Response:
    return _account(request)


@needs("account")
def change_password(
    request: Request, old: Annotated[str, Form(max_length=512)], new: Annotated[str, Form(max_length=512)]
) -> Response:
    try:
        with context_of(request).database.write() as session:
            People(session).change_password(person_of(request).name, old, new)
    except PeopleError as e:
        return _account(request, 422, str(e))
    return RedirectResponse("/sign-in", 303)  # every session of the person has ended


def _account(request: Request, status: int = 200, error: str | None = None) -> Response:
    with context_of(request).database.read() as session:
        found = People(session).find(person_of(request).name)
    own = found is not None and found.subject is None
    return render(request, "account.html", status, error=error, own=own, grants=sorted(GRANTS[person_of(request).role]))


@open_to_all
def preferences(
    request: Request,
    lang: Annotated[str, Form()] = "",
    theme: Annotated[str, Form()] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    response = RedirectResponse(local(next), 303)
    if lang in LANGS:
        response.set_cookie("lang", lang, max_age=31536000, samesite="lax", secure=context_of(request).secure_cookies)
        if request.state.person is not None:
            with context_of(request).database.write() as session:
                People(session).set_lang(request.state.person.name, lang)
    if theme in ("light", "dark", "auto"):
        response.set_cookie("theme", theme, max_age=31536000, samesite="lax", secure=context_of(request).secure_cookies)
    return response


def local(target: str) -> str:
    """A path of ours, or the start page: nobody is sent elsewhere by a link to the sign-in page."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and "\\" not in target
    return target if plain and target.isprintable() else "/"


def door(request: Request, next: str, status: int = 200, *, error: str | None = None, fresh: bool = False) -> Response:
    """The sign-in page; the way to the identity provider stands on it where there is one."""
    provider: Provider | None = request.app.state.provider
    label = provider.settings.label if provider is not None else None
    return render(request, "sign_in.html", status, next=local(next), error=error, fresh=fresh, provider=label)


def with_session(request: Request, response: Response, token: str) -> Response:
    # A new token at every sign-in: one that was planted before is worth nothing afterwards.
    response.set_cookie(
        COOKIE, token, max_age=int(SESSION_LIFE.total_seconds()), httponly=True, samesite="lax",
        secure=context_of(request).secure_cookies, path="/",
    )  # fmt: skip
    return response
