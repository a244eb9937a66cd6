"""Where the two ends of a softphone call learn addresses at which they reach each other: STUN and TURN servers.

STUN (RFC 8489) tells a browser its own address behind a NAT. TURN (RFC 8656) relays the packets where none get
through directly; a relay costs its operator, so it wants a name and a password. They come from the environment and
reach the browser with a call that was prepared, never with the page. With a shared secret (the way that coturn's
``use-auth-secret`` takes, draft-uberti-behave-turn-rest-00) each call gets a name that ends with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from agent.errors import ConfigurationError
from agent.settings import Settings

LIFE = 1800
"""Seconds that a call's name at the TURN server is good: no call takes half an hour."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """One entry of a browser's ``RTCConfiguration.iceServers``."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None

    def plain(self) -> Mapping[str, object]:
        """As a browser takes it."""
        named = {"username": self.username, "credential": self.credential}
        return {"urls": list(self.urls), **{key: value for key, value in named.items() if value is not None}}

    def __repr__(self) -> str:
        return f"IceServer({', '.join(self.urls)})"


class IceServers:
    """What the settings name. ``for_call`` makes the entries of one call.

    Raises ``ConfigurationError`` for a TURN server without a name and password, or with two kinds of them.
    """

    def __init__(
        self,
        stun: tuple[str, ...] = (),
        turn: tuple[str, ...] = (),
        *,
        user: str | None = None,
        password: SecretStr | None = None,
        secret: SecretStr | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        fixed = user is not None or password is not None
        if not turn and (fixed or secret is not None):
            raise ConfigurationError("CALLGATE_TURN_SERVERS is not set, and a TURN name, password or secret is")
        if turn and fixed and secret is not None:
            raise ConfigurationError("CALLGATE_TURN_SECRET and CALLGATE_TURN_USER exclude each other")
        if turn and secret is None and (user is None or password is None):
            raise ConfigurationError(
                "CALLGATE_TURN_SERVERS needs CALLGATE_TURN_SECRET, or CALLGATE_TURN_USER and CALLGATE_TURN_PASSWORD"
            )
        self._stun, self._turn, self._clock = stun, turn, clock
        self._user, self._password, self._secret = user, password, secret

    @classmethod
    def of(cls, settings: Settings) -> IceServers:
        """Raises ``ConfigurationError`` naming the variable."""
        return cls(
            settings.stun_servers, settings.turn_servers, user=settings.turn_user, password=settings.turn_password,
            secret=settings.turn_secret,
        )  # fmt: skip

    def for_call(self, call_id: str) -> tuple[IceServer, ...]:
        """The servers of one call, with what it needs to use them."""
        found = [IceServer(self._stun)] if self._stun else []
        if self._turn and self._secret is not None:
            name = f"{int(self._clock()) + LIFE}:{call_id}"
            key = self._secret.get_secret_value().encode()
            password = base64.b64encode(hmac.digest(key, name.encode(), hashlib.sha1)).decode()
            found.append(IceServer(self._turn, name, password))
        elif self._turn and self._password is not None:
            found.append(IceServer(self._turn, self._user, self._password.get_secret_value()))
        return tuple(found)
