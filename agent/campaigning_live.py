"""The live calls of one process, shown and steered in another: a campaign's calls on the console's pages.

A process that runs calls listens on a free port of the loopback interface and says so in a file of the home folder's
``live/`` that only its user can read: port and a key of its own. Whoever shows live calls (``callgate serve``)
looks there, and keeps the calls of each in its own hub. One request a connection, one line of JSON: ``calls`` is
answered by each call as it stands and then as it changes, a line each; ``sound`` by raw 16-bit 8 kHz in pieces of
100 ms; ``end`` and ``take_over`` by one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.live_hub import Command, LiveEntry, LiveHub
from archive.layout import private_folder

log = logging.getLogger(__name__)

FOLDER = "live"
LOOK_EVERY = 1.0
"""Seconds between two looks for processes that came."""
REQUEST_LIMIT = 5.0
MAX_LINE = 1 << 16


@contextlib.asynccontextmanager
async def published(hub: LiveHub, home: Path) -> AsyncIterator[None]:
    """Let other processes of this home see and steer the calls of ``hub``. Raises ``ArchiveError``, ``OSError``."""
    key = secrets.token_urlsafe(32)
    sessions: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        sessions.add(task)
        try:
            await _answer(hub, key, reader, writer)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            return  # it left, or never was one of ours
        except asyncio.CancelledError:
            return  # we end, and so do its news
        finally:
            sessions.discard(task)
            writer.close()

    folder = private_folder(home / FOLDER)
    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=MAX_LINE)
    port = server.sockets[0].getsockname()[1]
    path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.json"
    try:
        await asyncio.to_thread(_announce, path, {"port": port, "key": key})
        yield
    finally:
        path.unlink(missing_ok=True)
        server.close()
        for task in tuple(sessions):
            task.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)
        await server.wait_closed()


def _announce(path: Path, plain: Mapping[str, Any]) -> None:
    """Whole or not at all: who reads it never sees half of it."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        json.dump(plain, out)
    fresh.replace(path)


async def _answer(hub: LiveHub, key: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(REQUEST_LIMIT):
        request = json.loads(await reader.readline())
    if not isinstance(request, dict) or not hmac.compare_digest(str(request.get("key")).encode(), key.encode()):
        return
    want, call_id = request.get("want"), str(request.get("call_id"))
    if want == "calls":
        await _until_gone(reader, _tell_calls(hub, writer))
    elif want == "sound":
        await _until_gone(reader, _tell_sound(hub, call_id, writer))
    elif want in ("end", "take_over"):
        try:
            await (hub.end(call_id) if want == "end" else hub.take_over(call_id))
            answer = ""
        except KeyError:
            answer = "gone"
        except ValueError as e:
            answer = str(e)
        await _send(writer, {"error": answer})


async def _tell_calls(hub: LiveHub, writer: asyncio.StreamWriter) -> None:
    changes = hub.changes()  # before the snapshot: nothing is lost between them
    try:
        for call in hub.snapshot():
            await _send(writer, call)
        async for call in changes:
            await _send(writer, call)
    finally:
        await changes.aclose()  # type: ignore[attr-defined]


async def _tell_sound(hub: LiveHub, call_id: str, writer: asyncio.StreamWriter) -> None:
    try:
        pieces = hub.sound(call_id)
    except KeyError:
        return
    try:
        async for piece in pieces:
            writer.write(piece)
            await writer.drain()
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]


async def _until_gone(reader: asyncio.StreamReader, telling: Any) -> None:
    """Tell until there is nothing more, or the other side has closed."""
    task, gone = asyncio.ensure_future(telling), asyncio.ensure_future(reader.read())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, plain: Mapping[str, Any]) -> None:
    writer.write(json.dumps(plain, ensure_ascii=False, default=datetime.isoformat).encode() + b"\n")
    await writer.drain()


# -- the side that shows them


@dataclass(frozen=True, slots=True)
class _Peer:
    """A process that publishes its calls."""

    port: int
    key: str

    async def ask(self, want: str, call_id: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=MAX_LINE)
        await _send(writer, {"key": self.key, "want": want, "call_id": call_id})
        return reader, writer

    async def command(self, command: Command, call_id: str) -> None:
        """Raises ``KeyError`` where the call is gone, ``ValueError`` where it cannot be done."""
        try:
            async with asyncio.timeout(REQUEST_LIMIT):
                reader, writer = await self.ask(command, call_id)
                line = await reader.readline()
                writer.close()
        except (OSError, TimeoutError) as e:
            raise KeyError(call_id) from e
        error = json.loads(line)["error"] if line else "gone"
        if error == "gone":
            raise KeyError(call_id)
        if error:
            raise ValueError(error)


@dataclass(slots=True)
class LiveEverywhere:
    """This process's live calls and those of all that publish theirs; implements ``console.context.LiveCalls``."""

    hub: LiveHub
    peers: dict[str, _Peer] = field(default_factory=dict)
    """By the ids of their calls."""

    def snapshot(self) -> Sequence[Mapping[str, Any]]:
        return self.hub.snapshot()

    def changes(self) -> AsyncIterator[Mapping[str, Any]]:
        return self.hub.changes()

    def sound(self, call_id: str) -> AsyncIterator[bytes]:
        """See :meth:`LiveHub.sound`. Raises ``KeyError``."""
        peer = self.peers.get(call_id)
        return self.hub.sound(call_id) if peer is None else _overhear(peer, call_id)

    async def end(self, call_id: str) -> None:
        await self.hub.end(call_id)

    async def take_over(self, call_id: str) -> None:
        await self.hub.take_over(call_id)


async def _overhear(peer: _Peer, call_id: str) -> AsyncIterator[bytes]:
    try:
        reader, writer = await peer.ask("sound", call_id)
    except OSError:
        return
    try:
        while piece := await reader.read(1600):
            yield piece + await reader.readexactly(len(piece) % 2)
    except (OSError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def everywhere(hub: LiveHub, home: Path) -> AsyncIterator[LiveEverywhere]:
    """Keep the calls of all processes of this home that publish theirs in ``hub``, beside its own."""
    live = LiveEverywhere(hub)
    looking = asyncio.create_task(_look(live, home / FOLDER))
    try:
        yield live
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _look(live: LiveEverywhere, folder: Path) -> None:
    following: dict[Path, asyncio.Task[None]] = {}
    try:
        while True:
            for path in await asyncio.to_thread(lambda: sorted(folder.glob("*.json"))):
                if path not in following or following[path].done():
                    following[path] = asyncio.create_task(_mirror(live, path))
            following = {path: task for path, task in following.items() if not task.done() or path.exists()}
            await asyncio.sleep(LOOK_EVERY)
    finally:
        for task in following.values():
            task.cancel()
        await asyncio.gather(*following.values(), return_exceptions=True)


async def _mirror(live: LiveEverywhere, path: Path) -> None:
    """Follow one process until it goes. What is left of one that was killed is cleared away."""
    try:
        plain = json.loads(await asyncio.to_thread(path.read_text, "ascii"))
        peer = _Peer(int(plain["port"]), str(plain["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return
    try:
        reader, writer = await peer.ask("calls")
    except OSError:
        log.info("a process that published its live calls is gone")
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return
    mirrored: dict[str, LiveEntry] = {}
    try:
        while line := await reader.readline():
            _take(live, peer, mirrored, json.loads(line))
    except (OSError, ValueError):
        return  # looked for again
    finally:
        for entry in tuple(mirrored.values()):
            live.peers.pop(entry.call_id, None)
            live.hub.over(entry)
        writer.close()


def _take(live: LiveEverywhere, peer: _Peer, mirrored: dict[str, LiveEntry], call: Mapping[str, Any]) -> None:
    call_id = str(call["call_id"])
    entry = mirrored.get(call_id)
    if call.get("ended"):
        if entry is not None:
            del mirrored[call_id]
            live.peers.pop(call_id, None)
            live.hub.over(entry)
        return
    fresh = entry is None
    if entry is None:

        async def steer(command: Command) -> None:
            await peer.command(command, call_id)

        can = bool(call["can_take_over"])
        entry = mirrored[call_id] = LiveEntry(
            live.hub, call_id, call["lang"], steer, campaign=call["campaign"], can_transfer=lambda: can,
            started_at=datetime.fromisoformat(call["started_at"]),
        )  # fmt: skip
        live.peers[call_id] = peer
    entry.state, entry.emotion, entry.who = call["state"], call["emotion"], call["who"]
    entry.words, entry.flags = {call["who"] or "": call["text"]}, list(call["flags"])
    live.hub.begin(entry) if fresh else live.hub.changed(call_id)
