"""People and keys: who may sign in, in which role; links and keys are shown once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from console.guard import needs
from console.i18n import LANGS
from console.page import context_of, person_of, render
from console.people import People
from console.people.store import INVITATION_LIFE, PeopleError
from console.permissions import GRANTS, ROLES

Name = Annotated[str, Form(max_length=64)]
Role = Annotated[str, Form(max_length=16)]


def routes(router: APIRouter) -> None:
    router.get("/people")(people_page)
    router.post("/people/invite")(invite)
    router.post("/people/role")(set_role)
    router.post("/people/disable")(disable)
    router.post("/people/keys")(make_key)
    router.post("/people/keys/revoke")(revoke_key)


@needs("people.manage")
def people_page(request: Request) -> Response:
    return _page(request)


@needs("people.manage")
def invite(request: Request, name: Name, role: Role, lang: Annotated[str, Form(max_length=2)] = "") -> Response:
    """A new person, or a new link for one who has lost the password. The link is in this answer and nowhere else."""
    by, wanted = person_of(request).name, lang if lang in LANGS else ""
    try:
        with context_of(request).database.write() as session:
            token = People(session).invite(name.strip(), role, by=by, lang=wanted)
    except PeopleError as e:
        return _page(request, 422, error=str(e))
    base = request.base_url
    if context_of(request).secure_cookies:  # behind a proxy, which alone speaks TLS
        base = base.replace(scheme="https")
    return _page(request, link=f"{base}welcome/{token}", shown_for=name.strip())


@needs("people.manage")
def set_role(request: Request, name: Name, role: Role) -> Response:
    return _change(request, lambda people, by: people.set_role(name, role, by=by))


@needs("people.manage")
def disable(request: Request, name: Name) -> Response:
    return _change(request, lambda people, by: people.disable(name, by=by))


@needs("people.manage")
def make_key(request: Request, name: Name, role: Role) -> Response:
    """A key for a program. It is in this answer and nowhere else."""
    try:
        with context_of(request).database.write() as session:
            key = People(session).make_key(name.strip(), role, by=person_of(request).name)
    except PeopleError as e:
        return _page(request, 422, error=str(e))
    return _page(request, key=key, shown_for=name.strip())


@needs("people.manage")
def revoke_key(request: Request, id: Annotated[int, Form(ge=0, le=2**31 - 1)]) -> Response:
    return _change(request, lambda people, by: people.revoke_key(id, by=by))


def _change(request: Request, change: Callable[[People, str], None]) -> Response:
    try:
        with context_of(request).database.write() as session:
            change(People(session), person_of(request).name)
    except PeopleError as e:
        return _page(request, 422, error=str(e))
    return RedirectResponse("/people", 303)


def _page(
    request: Request,
    status: int = 200,
    *,
    error: str | None = None,
    link: str | None = None,
    key: str | None = None,
    shown_for: str = "",
) -> Response:
    with context_of(request).database.read() as session:
        people = People(session)
        everybody, keys = people.all(), people.keys()
    return render(
        request, "people.html", status, everybody=everybody, keys=keys, roles=ROLES, error=error, link=link, key=key,
        shown_for=shown_for, grants={role: sorted(GRANTS[role]) for role in ROLES},
        hours=int(INVITATION_LIFE.total_seconds() // 3600),
    )  # fmt: skip
