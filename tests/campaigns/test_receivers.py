"""Webhooks reach the public network and what is allowed, whatever a name resolves to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

import httpx
import pytest

from campaigns.errors import ConfigError
from campaigns.receivers import Allowed, Guarded, InternalAddress

NOBODY = Allowed()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd12::1",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "2001:0:7f00:1::", "::127.0.0.1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_reached(address: str) -> None:
    assert not NOBODY.reaches(ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_addresses_that_are(address: str) -> None:
    assert NOBODY.reaches(ip_address(address))


def test_what_a_setting_allows() -> None:
    allowed = Allowed.from_environment({"CALLGATE_WEBHOOK_ALLOW": "10.1.2.0/24, ::1"})
    assert allowed.reaches(ip_address("10.1.2.9")) and allowed.reaches(ip_address("::ffff:10.1.2.9"))
    assert allowed.reaches(ip_address("::1")) and not allowed.reaches(ip_address("10.1.3.1"))
    assert allowed.may_hold("http://localhost/") and not NOBODY.may_hold("http://localhost/")
    assert NOBODY.may_hold("https://lender.example/hook") and not NOBODY.may_hold("http://[fe80::1]/")
    assert Allowed.from_environment({}) == NOBODY
    with pytest.raises(ConfigError, match="CALLGATE_WEBHOOK_ALLOW"):
        Allowed.from_environment({"CALLGATE_WEBHOOK_ALLOW": "lender.example"})
    with pytest.raises(ConfigError):
        Allowed.from_environment({"CALLGATE_WEBHOOK_ALLOW": "10.1.2.3/8"})


async def got(allowed: Allowed, answers: list[list[str]], url: str) -> httpx.Response:
    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers.pop(0)

    asked: list[str] = []
    async with httpx.AsyncClient(transport=Guarded(allowed, resolve), trust_env=False, timeout=2) as client:
        return await client.get(url)


async def serve(seen: list[bytes]) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


async def test_a_name_goes_to_the_address_that_was_judged_and_no_other() -> None:
    seen: list[bytes] = []
    server = await serve(seen)
    port = server.sockets[0].getsockname()[1]
    here = Allowed.from_environment({"CALLGATE_WEBHOOK_ALLOW": "127.0.0.1"})
    async with server:
        # The second answer would be a rebinding: nobody asks for it.
        answer = await got(here, [["127.0.0.1"], ["10.0.0.1"]], f"http://lender.example:{port}/hook?x=1")
        assert answer.status_code == 204
        head = seen[0].decode().lower()
        assert head.startswith("get /hook?x=1 ") and f"host: lender.example:{port}\r\n" in head
        for answers in ([["127.0.0.1"]], [["93.184.216.34", "127.0.0.1"]], [[]]):
            with pytest.raises(InternalAddress):
                await got(NOBODY, answers, f"http://lender.example:{port}/")
        with pytest.raises(InternalAddress):
            async with httpx.AsyncClient(transport=Guarded(NOBODY), trust_env=False) as client:
                await client.get(f"http://127.0.0.1:{port}/")
    assert len(seen) == 1


async def test_a_name_without_an_address_is_a_failure_like_others() -> None:
    async def nothing(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    async with httpx.AsyncClient(transport=Guarded(NOBODY, nothing), trust_env=False) as client:
        with pytest.raises(httpx.ConnectError, match=r"lender\.example has no address"):
            await client.get("http://lender.example/")
