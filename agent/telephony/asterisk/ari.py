"""The Asterisk REST Interface: requests, and the event stream that makes our application the owner of its channels.

Source: Asterisk documentation, "Asterisk REST Interface (ARI)". Needs ``ari.conf`` with a user and ``http.conf``
with the HTTP server on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from agent.errors import ConfigurationError, LineError

log = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(5.0, connect=3.0)
RETRY_FIRST, RETRY_LAST = 0.25, 10.0
"""Seconds between attempts to get the event stream back: doubled from the first to the last."""
MAX_EVENT = 1 << 20


class AriError(LineError):
    """Asterisk refused a request, or could not be asked. ``status`` is the HTTP status, 0 where there was none.

    ``sent`` is false where the request surely never reached it.
    """

    def __init__(self, status: int, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.sent = sent


class Ari:
    """One connection to one Asterisk. ``on_event`` gets every event; ``on_connected`` runs after each (re)connect."""

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        application: str = "callgate",
        *,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigurationError("the Asterisk URL must be http(s)://host:port")
        self.application = application
        # http.conf may put everything below a prefix, ours and the media sockets.
        place = parts.netloc + parts.path.rstrip("/").removesuffix("/ari")
        self._http = f"{parts.scheme}://{place}"
        self._ws = ("wss" if parts.scheme == "https" else "ws") + f"://{place}"
        self._key = f"{username}:{password}"
        self._client = client or httpx.AsyncClient(auth=(username, password), timeout=TIMEOUT)
        self._listeners: list[Callable[[dict[str, Any]], None]] = []
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._replaced = False

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Have every event passed to ``listener``; returns what takes it away again."""
        self._listeners.append(listener)

        def remove() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return remove

    async def start(self, on_connected: Callable[[], Any] | None = None, *, within: float = 10.0) -> None:
        """Open the event stream and keep it open. Raises ``AriError`` if it is not there ``within`` seconds."""
        self._task = asyncio.create_task(self._follow(on_connected))
        waiting = asyncio.create_task(self._connected.wait())
        try:
            await asyncio.wait({self._task, waiting}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._task.done():
            await self._task
        if not self._connected.is_set():
            await self.close()
            raise AriError(0, f"Asterisk at {self._http} did not open its event stream within {within:.0f} s")

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._client.aclose()

    async def wait_connected(self, within: float = 10.0) -> None:
        """Raises ``AriError`` if the event stream does not come back in time: without it a dial would go unseen."""
        if self._replaced:
            raise AriError(0, f"another process has taken over the application {self.application} at Asterisk")
        try:
            async with asyncio.timeout(within):
                await self._connected.wait()
        except TimeoutError:
            raise AriError(0, "the event stream of Asterisk is down") from None

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, /, **parameters: str | int
    ) -> Any:
        """One REST request; parsed JSON or ``None``. Raises ``AriError``."""
        query = {name: str(value) for name, value in parameters.items()}
        try:
            answer = await self._client.request(method, f"{self._http}/ari/{path}", params=query, json=body)
        except httpx.HTTPError as e:
            unsent = isinstance(e, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            what = f"Asterisk did not answer {method} {path.split('/')[0]}: {type(e).__name__}"
            raise AriError(0, what, sent=not unsent) from e
        if answer.status_code >= 400:
            raise AriError(answer.status_code, f"Asterisk refused {method} {path.split('/')[0]}: {answer.status_code}")
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError as e:
            raise AriError(answer.status_code, "Asterisk's answer is not JSON") from e

    async def channels_of(self, application: str) -> frozenset[str]:
        """The channels that an application owns, whether or not anybody listens to it. Raises ``AriError``."""
        try:
            known = await self.request("GET", f"applications/{application}")
        except AriError as e:
            if e.status == 404:
                return frozenset()
            raise
        names = known.get("channel_ids") if isinstance(known, dict) else None
        return frozenset(name for name in names or () if isinstance(name, str))

    async def open_media(self, connection_id: str) -> ClientConnection:
        """The media socket of an external-media channel. Raises ``AriError``."""
        try:
            return await connect(
                f"{self._ws}/media/{connection_id}",
                subprotocols=["media"],  # type: ignore[list-item]
                max_size=1 << 17,
                max_queue=64,
                open_timeout=5,
                close_timeout=1,
                ping_interval=None,  # Asterisk times the media itself; a pong behind it would only come late
                proxy=None,
                compression=None,
            )
        except (OSError, WebSocketException, TimeoutError) as e:
            raise AriError(0, f"Asterisk's media socket could not be opened: {type(e).__name__}") from e

    async def _follow(self, on_connected: Callable[[], Any] | None) -> None:
        query = urlencode({"app": self.application, "api_key": self._key, "subscribeAll": "false"})
        delay = RETRY_FIRST
        while True:
            try:
                async with connect(
                    f"{self._ws}/ari/events?{query}",
                    max_size=MAX_EVENT,
                    open_timeout=5,
                    close_timeout=1,
                    proxy=None,
                    compression=None,
                ) as socket:
                    delay = RETRY_FIRST
                    if on_connected is not None:
                        await on_connected()
                    self._connected.set()
                    async for message in socket:
                        self._dispatch(message)
                        if self._replaced:
                            self._connected.clear()
                            return
            except (OSError, WebSocketException, TimeoutError, AriError) as e:
                status = getattr(getattr(e, "response", None), "status_code", None)
                if status in (401, 403):
                    raise AriError(status, "Asterisk refused our user name or password") from None
                log.warning("the event stream of Asterisk is down: %s", type(e).__name__)
            self._connected.clear()
            await asyncio.sleep(delay)
            delay = min(RETRY_LAST, delay * 2)

    def _dispatch(self, message: str | bytes) -> None:
        try:
            event = json.loads(message)
        except (ValueError, RecursionError):
            log.warning("Asterisk sent an event that is not JSON")
            return
        if isinstance(event, dict):
            if event.get("type") == "ApplicationReplaced":
                # Connecting again would take it from the other, and so on: it is a matter of the configuration.
                self._replaced = True
                log.error(
                    "another process has taken over the application %s at Asterisk: no call is placed any more; "
                    "give each home its own CALLGATE_ASTERISK_APPLICATION",
                    self.application,
                )
            for listener in tuple(self._listeners):
                try:
                    listener(event)
                except Exception as e:  # one event that nobody understood must not make us deaf to all others
                    log.error("an event of Asterisk was not understood: %s", type(e).__name__)
