"""A TURN server (RFC 8656) as small as a call needs: long-term credentials, one allocation a client, channels."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import struct
from collections.abc import AsyncIterator
from typing import Any

from aioice import stun

REALM, NONCE = "callgate.test", b"nonce"


class FakeTurn(asyncio.DatagramProtocol):
    """``passwords`` by name; ``relayed`` counts the packets that went through; ``turned_away`` wrong credentials."""

    def __init__(self, passwords: Any) -> None:
        self._password = passwords  # name -> password, or None
        self.relayed = self.turned_away = 0
        self.names: set[str] = set()
        self._allocations: dict[tuple[str, int], _Allocation] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        if data[0] & 0xC0 == 0x40:
            if (allocation := self._allocations.get(client)) is not None:
                allocation.send(data)
            return
        task = asyncio.create_task(self._answer(stun.parse_message(data), client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, asked: stun.Message, client: tuple[str, int]) -> None:
        name = asked.attributes.get("USERNAME", "")
        password = self._password(name) if name else None
        if password is None:
            self.turned_away += bool(name)
            answer = self._message(asked, stun.Class.ERROR)
            answer.attributes |= {"ERROR-CODE": (401, "Unauthorized"), "NONCE": NONCE, "REALM": REALM}
            self.transport.sendto(bytes(answer), client)
            return
        key = hashlib.md5(f"{name}:{REALM}:{password}".encode()).digest()
        if not asked.check_message_integrity(key):
            self.turned_away += 1
            return
        self.names.add(name)
        answer = self._message(asked, stun.Class.RESPONSE)
        if asked.message_method == stun.Method.ALLOCATE:
            if client not in self._allocations:
                _, made = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Allocation(self, client), local_addr=("127.0.0.1", 0)
                )
                self._allocations[client] = made
            relayed = self._allocations[client].transport.get_extra_info("sockname")
            answer.attributes |= {"XOR-RELAYED-ADDRESS": relayed, "XOR-MAPPED-ADDRESS": client, "LIFETIME": 600}
        elif asked.message_method == stun.Method.CHANNEL_BIND:
            self._allocations[client].bind(asked.attributes["CHANNEL-NUMBER"], asked.attributes["XOR-PEER-ADDRESS"])
        elif asked.message_method == stun.Method.REFRESH:
            answer.attributes["LIFETIME"] = asked.attributes.get("LIFETIME", 600)
        answer.add_message_integrity(key)
        self.transport.sendto(bytes(answer), client)

    def _message(self, asked: stun.Message, kind: stun.Class) -> stun.Message:
        return stun.Message(
            message_method=asked.message_method, message_class=kind, transaction_id=asked.transaction_id
        )

    def close(self) -> None:
        for allocation in self._allocations.values():
            allocation.transport.close()
        self.transport.close()


class _Allocation(asyncio.DatagramProtocol):
    def __init__(self, server: FakeTurn, client: tuple[str, int]) -> None:
        self._server, self._client = server, client
        self._peers: dict[int, tuple[str, int]] = {}
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def bind(self, channel: int, peer: tuple[str, int]) -> None:
        self._peers[channel] = peer

    def send(self, data: bytes) -> None:
        """From the client, on a channel, to its peer."""
        channel, length = struct.unpack("!HH", data[:4])
        if channel in self._peers:
            self._server.relayed += 1
            self.transport.sendto(data[4 : 4 + length], self._peers[channel])

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        for channel, known in self._peers.items():
            if known == peer:
                self._server.relayed += 1
                self._server.transport.sendto(struct.pack("!HH", channel, len(data)) + data, self._client)


@contextlib.asynccontextmanager
async def turn_server(passwords: Any) -> AsyncIterator[tuple[FakeTurn, str]]:
    """A server and its ``turn:`` URL."""
    _, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: FakeTurn(passwords), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server, f"turn:127.0.0.1:{server.transport.get_extra_info('sockname')[1]}"
    finally:
        server.close()
