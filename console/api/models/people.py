"""People and keys."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from console.api.models.base import Given, Name, Sent
from console.permissions import Permission, Role


class Me(Given):
    name: str
    role: Role
    permissions: list[Permission]


class PersonOut(Given):
    """``elsewhere``: signs in at the identity provider."""

    name: str
    role: str
    lang: str
    has_password: bool
    elsewhere: bool
    disabled_at: datetime | None
    created_at: datetime


class NewPerson(Sent):
    name: Name
    role: Role
    lang: Literal["zh", "en", ""] = ""
    """``""``: what their browser says, until they choose."""


class Invited(Given):
    """``link`` is a path at the console that sets the password, once, within a day."""

    name: str
    link: str


class NewRole(Sent):
    role: Role


class KeyOut(Given):
    id: int
    name: str
    role: str
    created_by: str
    created_at: datetime
    revoked_at: datetime | None


class NewKey(Sent):
    name: Name
    role: Role


class MadeKey(Given):
    """``key`` is in this answer and nowhere else."""

    name: str
    role: Role
    key: str
