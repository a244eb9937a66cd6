"""People and keys, for who manages them; and who one is oneself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request

from console.api.models.base import Changed
from console.api.models.people import Invited, KeyOut, MadeKey, Me, NewKey, NewPerson, NewRole, PersonOut
from console.api.route import add
from console.guard import needs
from console.models import Person
from console.page import context_of, person_of
from console.people import People
from console.people.store import PeopleError
from console.permissions import GRANTS

Known = Annotated[str, Path(min_length=1, max_length=64)]
KeyId = Annotated[int, Path(ge=0, le=2**31 - 1)]


def routes(router: APIRouter) -> None:
    add(router, "GET", "/me", me, Me)
    add(router, "GET", "/people", everybody, list[PersonOut])
    add(router, "POST", "/people", invite, Invited, status=201)
    add(router, "PUT", "/people/{name}/role", set_role, PersonOut)
    add(router, "DELETE", "/people/{name}", disable, PersonOut)
    add(router, "GET", "/keys", keys, list[KeyOut])
    add(router, "POST", "/keys", make_key, MadeKey, status=201)
    add(router, "DELETE", "/keys/{key_id}", revoke, Changed)


@needs("account")
def me(request: Request) -> Me:
    """Who this key or session is, and what it may do."""
    person = person_of(request)
    return Me(name=person.name, role=person.role, permissions=sorted(GRANTS[person.role]))


def _out(person: Person) -> PersonOut:
    return PersonOut(
        name=person.name, role=person.role, lang=person.lang, has_password=person.password is not None,
        elsewhere=person.subject is not None,
        disabled_at=person.disabled_at, created_at=person.created_at,
    )  # fmt: skip


@needs("people.manage")
def everybody(request: Request) -> list[PersonOut]:
    with context_of(request).database.read() as session:
        return [_out(person) for person in People(session).all()]


@needs("people.manage")
def invite(request: Request, sent: NewPerson) -> Invited:
    """A new person, or a new link for one who has lost the password."""
    try:
        with context_of(request).database.write() as session:
            token = People(session).invite(sent.name, sent.role, by=person_of(request).name, lang=sent.lang)
    except PeopleError as e:
        raise HTTPException(422, str(e)) from e
    return Invited(name=sent.name, link=f"/welcome/{token}")


@needs("people.manage")
def set_role(request: Request, name: Known, sent: NewRole) -> PersonOut:
    return _changed(request, name, sent.role)


@needs("people.manage")
def disable(request: Request, name: Known) -> PersonOut:
    """Nobody signs in by this name any more; open sessions end."""
    return _changed(request, name, None)


def _changed(request: Request, name: str, role: str | None) -> PersonOut:
    by = person_of(request).name
    try:
        with context_of(request).database.write() as session:
            people = People(session)
            if people.find(name) is None:
                raise HTTPException(404, "there is nobody of that name")
            if role is None:
                people.disable(name, by=by)
            else:
                people.set_role(name, role, by=by)
            person = people.find(name)
            assert person is not None
            return _out(person)
    except PeopleError as e:
        raise HTTPException(422, str(e)) from e


@needs("people.manage")
def keys(request: Request) -> list[KeyOut]:
    with context_of(request).database.read() as session:
        made = People(session).keys()
    return [KeyOut.model_validate(key) for key in made]


@needs("people.manage")
def make_key(request: Request, sent: NewKey) -> MadeKey:
    """A key for a program."""
    try:
        with context_of(request).database.write() as session:
            key = People(session).make_key(sent.name, sent.role, by=person_of(request).name)
    except PeopleError as e:
        raise HTTPException(422, str(e)) from e
    return MadeKey(name=sent.name, role=sent.role, key=key)


@needs("people.manage")
def revoke(request: Request, key_id: KeyId) -> Changed:
    try:
        with context_of(request).database.write() as session:
            People(session).revoke_key(key_id, by=person_of(request).name)
    except PeopleError as e:
        raise HTTPException(404, str(e)) from e
    return Changed()
