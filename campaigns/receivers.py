"""Whom webhooks may reach: the public network, and of the internal one what a setting allows.

An address that somebody typed into a page makes this process send requests. So that it cannot be pointed at what only
we can reach (a metadata service, a database's port, the loopback; CWE-918), the host is resolved when a request is
sent, every address that it has is judged, and the connection goes to an address that was judged: a name that resolves
otherwise a moment later (DNS rebinding) gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

import httpx

from campaigns.errors import ConfigError

ALLOW_VARIABLE = "CALLGATE_WEBHOOK_ALLOW"
INTERNAL = "internal address"
"""Why a delivery failed, for the outbox."""
_NAT64, _UNICAST = ip_network("64:ff9b::/96"), ip_network("2000::/3")
Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class InternalAddress(httpx.ConnectError):
    """The host is, or also is, at an address that webhooks may not reach."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Networks that may be reached though they are not public."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Allowed:
        """``CALLGATE_WEBHOOK_ALLOW``: addresses and networks such as ``10.1.2.0/24``, separated by commas. Raises
        ``ConfigError``."""
        words = [word.strip() for word in environment.get(ALLOW_VARIABLE, "").split(",")]
        try:
            return Allowed(tuple(ip_network(word) for word in words if word))
        except ValueError as e:
            raise ConfigError(f"{ALLOW_VARIABLE} holds addresses and networks such as 10.1.2.0/24: {e}") from e

    def reaches(self, address: Address) -> bool:
        """Whether a request may go there."""
        plain = _plain(address)
        if any(plain in network for network in self.networks):
            return True
        return plain is not None and plain.is_global and not plain.is_multicast

    def may_hold(self, url: str) -> bool:
        """Whether the address of a URL may be kept: all names may, they are judged when they are resolved."""
        host = urlsplit(url).hostname or ""
        try:
            return self.reaches(ip_address(host))
        except ValueError:
            return host != "localhost" or any(self.reaches(ip_address(each)) for each in ("127.0.0.1", "::1"))


def _plain(address: Address) -> Address | None:
    """The address that is reached in the end: an IPv4 address in IPv6's clothes is itself. ``None``: nobody can tell
    (6to4, Teredo, what is assigned to nobody)."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    odd = address not in _UNICAST and not address.is_private and not address.is_link_local
    return None if odd or address.sixtofour is not None or address.teredo is not None else address


class Guarded(httpx.AsyncBaseTransport):
    """Sends each request to an address of its host that was judged, under the host's name. ``resolve`` gives the
    addresses of a host and port, and raises ``OSError``."""

    def __init__(self, allowed: Allowed, resolve: Resolve | None = None) -> None:
        self._allowed, self._resolve = allowed, resolve or _resolve
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        host = url.host
        try:
            found = [ip_address(each.partition("%")[0]) for each in await self._resolve(host, url.port or 443)]
        except OSError as e:
            raise httpx.ConnectError(f"{host} has no address", request=request) from e
        if not found or not all(map(self._allowed.reaches, found)):
            raise InternalAddress(INTERNAL, request=request)
        request.url = url.copy_with(host=str(found[0]))  # the Host header names the host already
        request.extensions = {**request.extensions, "sni_hostname": host}  # whose certificate is checked
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _resolve(host: str, port: int) -> Sequence[str]:
    try:
        return [str(ip_address(host))]
    except ValueError:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        return [str(address[0]) for *_, address in found]
