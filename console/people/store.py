"""Reading and writing people, inside the caller's unit of work. Everything that changes who may do what is audited."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.audit import AuditLog
from console.models import ApiKey, Invitation, Person, SessionRow
from console.people.secrets import digest, hash_password, new_token, verify_password
from console.permissions import GRANTS, ROLES, Permission, Role

SESSION_IDLE = timedelta(hours=2)
SESSION_LIFE = timedelta(hours=12)
INVITATION_LIFE = timedelta(hours=24)
_NAME = re.compile(r"[\w.@+-]{2,64}\Z")
ELSEWHERE = "this person signs in at the identity provider, which also gives the role"


class PeopleError(Exception):
    """What was asked cannot be done; one line for the person who asked."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who makes a request: a person, or a program by its key."""

    name: str
    role: Role
    lang: str = ""

    def may(self, permission: Permission) -> bool:
        return permission in GRANTS[self.role]


class People:
    def __init__(self, session: Session, now: datetime | None = None) -> None:
        self._session = session
        self._now = now or datetime.now(UTC)
        self._audit = AuditLog(session)
        self.idle = timedelta(0)
        """How long the session of the last ``by_session`` had not been used."""

    def anybody(self) -> bool:
        """Whether somebody can sign in already."""
        found = sa.select(Person.id).where(Person.password.is_not(None), Person.disabled_at.is_(None)).limit(1)
        return self._session.execute(found).first() is not None

    def all(self) -> Sequence[Person]:
        return self._session.scalars(sa.select(Person).order_by(Person.name)).all()

    def find(self, name: str) -> Person | None:
        return self._session.scalar(sa.select(Person).where(Person.name == name))

    # signing in ------------------------------------------------------------------------------------------------

    def stored_password(self, name: str) -> str | None:
        """The hash to check a password against; ``None`` of somebody who may not sign in, or does not exist."""
        person = self.find(name)
        return person.password if person is not None and person.disabled_at is None else None

    def sign_in(self, name: str, proved: str | None) -> str | None:
        """The new session's token, or ``None``. The caller limits the rate.

        ``proved`` is the hash that the password was checked against, ``None`` if it did not fit. Checking takes a tenth
        of a second, in which nobody else could write; so it is done before, and what was proved must still hold.
        """
        person = self.find(name)
        if person is None or proved is None or proved != self.stored_password(name):
            self._audit.append("sign_in.refused", actor="nobody", subject="console")
            return None
        return self._open(person)

    def sign_in_elsewhere(self, subject: str, name: str, role: Role, lang: str) -> str:
        """The new session's token of who proved to be ``subject`` at the identity provider, which says what they are
        called and may do. Raises ``PeopleError``.

        A name that somebody else holds here is refused: whoever may choose a name there must not become them.
        """
        kept = digest(subject)
        person = self._session.scalar(sa.select(Person).where(Person.subject == kept))
        if person is None:
            if not _NAME.match(name):
                raise PeopleError("the identity provider gives no name that can be used here")
            if self.find(name) is not None:
                raise PeopleError("somebody else holds your name here already")
            person = Person(
                name=name, password=None, role=role, lang=lang, disabled_at=None, created_at=self._now, subject=kept
            )
            self._session.add(person)
            self._session.flush()
            self._audit.append("people.invited", actor="oidc", subject=f"person:{name}", role=role)
        if person.disabled_at is not None:
            raise PeopleError("your account was disabled here")
        if role != person.role:
            self._session.execute(sa.delete(SessionRow).where(SessionRow.person_id == person.id))
            person.role = role
            self._audit.append("people.role_set", actor="oidc", subject=f"person:{person.name}", role=role)
        return self._open(person)

    def end_sessions_of(self, subject: str) -> None:
        """Who is ``subject`` at the identity provider has no role any more."""
        whose = sa.select(Person.id).where(Person.subject == digest(subject)).scalar_subquery()
        self._session.execute(sa.delete(SessionRow).where(SessionRow.person_id == whose))

    def refused(self, reason: str) -> None:
        """Somebody was turned away at the door."""
        self._audit.append("sign_in.refused", actor="nobody", subject="console", reason=reason)

    def _open(self, person: Person) -> str:
        token, kept = new_token()
        self._session.execute(sa.delete(SessionRow).where(SessionRow.expires_at < self._now))
        self._session.add(
            SessionRow(
                token=kept, person_id=person.id, created_at=self._now, seen_at=self._now,
                expires_at=self._now + SESSION_LIFE,
            )
        )  # fmt: skip
        self._audit.append("sign_in", actor=person.name, subject="console")
        return token

    def by_session(self, token: str) -> SignedIn | None:
        """Who holds this session; ``None`` once it is idle, expired, or its person is disabled."""
        found = self._session.execute(
            sa.select(SessionRow, Person)
            .join(Person, Person.id == SessionRow.person_id)
            .where(SessionRow.token == digest(token))
        ).first()
        if found is None:
            return None
        row, person = found
        stale = row.expires_at < self._now or self._now - row.seen_at > SESSION_IDLE
        if stale or person.disabled_at is not None or person.role not in ROLES:
            return None
        self.idle = self._now - row.seen_at
        return SignedIn(person.name, person.role, person.lang)

    def touch(self, token: str) -> None:
        """The session is in use."""
        self._session.execute(sa.update(SessionRow).where(SessionRow.token == digest(token)).values(seen_at=self._now))

    def sign_out(self, token: str) -> None:
        self._session.execute(sa.delete(SessionRow).where(SessionRow.token == digest(token)))

    def by_key(self, key: str) -> SignedIn | None:
        """The program behind an API key, unless it was revoked."""
        row = self._session.scalar(sa.select(ApiKey).where(ApiKey.token == digest(key), ApiKey.revoked_at.is_(None)))
        if row is None or row.role not in ROLES:
            return None
        return SignedIn(f"key:{row.name}", row.role)

    # managing --------------------------------------------------------------------------------------------------

    def invite(self, name: str, role: str, *, by: str, lang: str = "") -> str:
        """Make a person (or give an existing one a new start) and the token of the link that sets their password.
        Without ``lang`` their pages speak their browser's language until they choose."""
        if not _NAME.match(name):
            raise PeopleError("a name has 2 to 64 letters, digits or . @ + - _")
        if role not in ROLES:
            raise PeopleError(f"there is no role {role!r}")
        person = self.find(name)
        if person is not None and person.subject is not None:
            raise PeopleError(ELSEWHERE)
        if person is None:
            person = Person(name=name, password=None, role=role, lang=lang, disabled_at=None, created_at=self._now)
            self._session.add(person)
            self._session.flush()
        token, kept = new_token()
        self._session.execute(sa.delete(Invitation).where(Invitation.person_id == person.id))
        expires = self._now + INVITATION_LIFE
        self._session.add(Invitation(token=kept, person_id=person.id, expires_at=expires, used_at=None))
        self._audit.append("people.invited", actor=by, subject=f"person:{name}", role=person.role)
        return token

    def invited(self, token: str) -> Person | None:
        """Whose unused, unexpired invitation this is."""
        row = self._session.get(Invitation, digest(token))
        if row is None or row.used_at is not None or row.expires_at < self._now:
            return None
        return self._session.get(Person, row.person_id)

    def accept(self, token: str, password: str) -> str:
        """Set the password of an invitation, once; signs in. Raises ``PeopleError``."""
        person = self.invited(token)
        if person is None:
            raise PeopleError("this link was used already, or is older than a day")
        self._set_password(person, password, by=person.name)
        row = self._session.get(Invitation, digest(token))
        assert row is not None
        row.used_at = self._now
        return self._open(person)

    def change_password(self, name: str, old: str, new: str) -> None:
        """Raises ``PeopleError``. Every session of the person ends."""
        person = self.find(name)
        if person is None or not verify_password(person.password, old):
            raise PeopleError("the old password is wrong")
        self._set_password(person, new, by=name)

    def _set_password(self, person: Person, password: str, *, by: str) -> None:
        try:
            person.password = hash_password(password)
        except ValueError as e:
            raise PeopleError(str(e)) from e
        self._session.execute(sa.delete(SessionRow).where(SessionRow.person_id == person.id))
        self._audit.append("people.password_set", actor=by, subject=f"person:{person.name}")

    def set_role(self, name: str, role: str, *, by: str) -> None:
        """Raises ``PeopleError``, also where it would leave nobody who can manage people."""
        person = self._known(name)
        if role not in ROLES:
            raise PeopleError(f"there is no role {role!r}")
        if person.subject is not None:
            raise PeopleError(ELSEWHERE)
        if role != "admin":
            self._keep_an_admin(person)
        person.role = role
        self._session.execute(sa.delete(SessionRow).where(SessionRow.person_id == person.id))
        self._audit.append("people.role_set", actor=by, subject=f"person:{name}", role=role)

    def disable(self, name: str, *, by: str) -> None:
        """Nobody signs in by this name any more; open sessions end. Raises ``PeopleError``."""
        person = self._known(name)
        self._keep_an_admin(person)
        person.disabled_at = self._now
        self._session.execute(sa.delete(SessionRow).where(SessionRow.person_id == person.id))
        self._audit.append("people.disabled", actor=by, subject=f"person:{name}")

    def set_lang(self, name: str, lang: str) -> None:
        self._session.execute(sa.update(Person).where(Person.name == name).values(lang=lang))

    def keys(self) -> Sequence[ApiKey]:
        return self._session.scalars(sa.select(ApiKey).order_by(ApiKey.id)).all()

    def make_key(self, name: str, role: str, *, by: str) -> str:
        """A new API key, shown once. Raises ``PeopleError``."""
        if not _NAME.match(name) or role not in ROLES:
            raise PeopleError("a key needs a name of 2 to 64 letters or digits, and a role")
        key, kept = new_token()
        self._session.add(
            ApiKey(token=kept, name=name, role=role, created_by=by, created_at=self._now, revoked_at=None)
        )
        self._audit.append("keys.made", actor=by, subject=f"key:{name}", role=role)
        return key

    def revoke_key(self, key_id: int, *, by: str) -> None:
        row = self._session.get(ApiKey, key_id)
        if row is None:
            raise PeopleError("there is no such key")
        row.revoked_at = self._now
        self._audit.append("keys.revoked", actor=by, subject=f"key:{row.name}")

    def _known(self, name: str) -> Person:
        person = self.find(name)
        if person is None:
            raise PeopleError("there is nobody of that name")
        return person

    def _keep_an_admin(self, person: Person) -> None:
        others = sa.select(Person.id).where(
            Person.role == "admin", Person.id != person.id, Person.disabled_at.is_(None), Person.password.is_not(None)
        )
        if person.role == "admin" and self._session.execute(others.limit(1)).first() is None:
            raise PeopleError("this is the last admin")
