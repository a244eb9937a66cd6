"""What every answer of the console carries, and how often somebody may try to sign in."""

from __future__ import annotations

import os
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from threading import Lock

from fastapi import Request, Response

from archive.errors import ArchiveError

PROXIES_VARIABLE = "CALLGATE_TRUSTED_PROXIES"
LOCAL = "127.0.0.0/8,::1"
"""A proxy on the same machine is trusted without being named."""
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; "
    "connect-src 'self'; media-src 'self' blob:; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)


async def headers(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """A nonce for this answer's own styles; strict headers on the way out."""
    request.state.nonce = secrets.token_urlsafe(16)
    response = await go_on(request)
    response.headers["Content-Security-Policy"] = CSP.format(nonce=request.state.nonce)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "geolocation=(), camera=()"
    if not request.url.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response


@lru_cache(maxsize=4)
def _networks(listed: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(each.strip(), strict=False) for each in listed.split(",") if each.strip())
    except ValueError as e:
        raise ArchiveError(f"{PROXIES_VARIABLE}: {e}") from e


def trusted_proxies() -> tuple[IPv4Network | IPv6Network, ...]:
    """Whose X-Forwarded-For is believed, from the environment. Raises ``ArchiveError`` for what is no network."""
    return _networks(os.environ.get(PROXIES_VARIABLE) or LOCAL)


def client_address(request: Request) -> str:
    """Who asks. Behind a proxy that is trusted, the last address in X-Forwarded-For that is none of the proxies': what
    stands before it was written by the client. Without it one guesser would use up every colleague's tries."""
    networks = trusted_proxies()
    address = request.client.host if request.client else "?"
    for named in reversed(request.headers.get("x-forwarded-for", "").split(",")):
        if not _among(address, networks) or not named.strip():
            break
        address = named.strip()
    return address[:64]


def _among(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)


class AttemptLimit:
    """At most ``tries`` failures a key within ``window`` seconds. Forgets by itself; safe between threads."""

    def __init__(self, tries: int, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._tries, self._window, self._clock = tries, window, clock
        self._failed: dict[str, deque[float]] = defaultdict(deque)
        self._lock = Lock()

    def blocked(self, *keys: str) -> bool:
        with self._lock:
            return any(len(self._fresh(key)) >= self._tries for key in keys)

    def failed(self, *keys: str) -> None:
        with self._lock:
            if len(self._failed) > 10_000:  # an attacker with many names must not fill the memory
                self._failed = defaultdict(deque, {k: v for k, v in self._failed.items() if self._fresh(k)})
            for key in keys:
                self._fresh(key).append(self._clock())

    def _fresh(self, key: str) -> deque[float]:
        times = self._failed[key]
        while times and self._clock() - times[0] > self._window:
            times.popleft()
        return times
