"""An Asterisk of one's own: the installed binary on a folder of its own, and phones that answer it over SIP and RTP.

Wants the package ``asterisk``, on this machine or in a folder of a distribution's files that
``CALLGATE_TEST_ASTERISK`` names, as Debian's releases of today have no such package, only ``sid`` (22.10). Ubuntu
24.04 has 20.6, which has AudioSocket but not chan_websocket: the tests that want the latter skip there.

    debootstrap --variant=minbase --include=asterisk,asterisk-modules sid /tmp/asterisk

The telephones are extensions of the same Asterisk, reached through its own SIP trunk: a call to one goes out over SIP
and RTP on the loopback and comes in again. What is said into a *held* telephone, and heard there, passes through the
dialplan's AudioSocket to a :class:`Telephone` of the test: nothing of ours takes part in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

ROOT_VARIABLE = "CALLGATE_TEST_ASTERISK"
USER, PASSWORD = "callgate", "for-the-tests-only"
TRUNK = "PJSIP/{to}@trunk"
FRAME = 320
"""Bytes of 20 ms: 16-bit, 8 kHz."""
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_HELD = {number: f"00000000-0000-4000-8000-000000000{number}" for number in ("100", "600")}


class NoAsterisk(Exception):  # noqa: N818 - a reason, not a failure
    """There is no Asterisk to test with. ``str()`` says why."""


def command() -> tuple[list[str], Path]:
    """How to start Asterisk, and the folder in which its modules lie. Raises ``NoAsterisk``."""
    root = Path(os.environ.get(ROOT_VARIABLE) or "/")
    binary, modules = root / "usr/sbin/asterisk", root / _LIBRARIES / "asterisk/modules"
    if not binary.is_file():
        raise NoAsterisk(f"no Asterisk here: set {ROOT_VARIABLE} to a folder of Debian's files that has it")
    if root == Path("/"):
        return [str(binary)], modules
    loader = root / "lib64/ld-linux-x86-64.so.2"
    return [str(loader), "--library-path", str(root / _LIBRARIES), str(binary)], modules


def has_websocket() -> bool:
    """Whether this Asterisk has chan_websocket. Raises ``NoAsterisk``."""
    return (command()[1] / "chan_websocket.so").is_file()


def _free(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Telephone:
    """A telephone in somebody's hand: ``heard`` so far, ``say`` something, ``hang_up``. Silence is sent otherwise."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard = bytearray()
        self.gone = asyncio.Event()
        self._reader, self._writer = reader, writer
        self._said = bytearray()

    def say(self, pcm: bytes) -> None:
        self._said += pcm

    def hang_up(self) -> None:
        self._writer.write(b"\x00\x00\x00")

    async def held(self) -> None:
        """Speak and listen until either side is gone."""
        speaking = asyncio.create_task(self._speak())
        try:
            while True:
                kind, size = struct.unpack(">BH", await self._reader.readexactly(3))
                payload = await self._reader.readexactly(size)
                if kind == 0x10:
                    self.heard += payload
                elif kind == 0x00:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.gone.set()
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            self._writer.close()

    async def _speak(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            frame = bytes(self._said[:FRAME]).ljust(FRAME, b"\x00")
            del self._said[:FRAME]
            self._writer.write(struct.pack(">BH", 0x10, FRAME) + frame)
            due += 0.02
            await asyncio.sleep(max(0.0, due - clock()))


class RealAsterisk:
    """``url`` is its ARI's; ``telephones`` come as they are answered, by number: 100 the person's, 600 the desk's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.telephones: dict[str, asyncio.Queue[Telephone]] = {number: asyncio.Queue() for number in _HELD}
        self._http, self._sip = _free(socket.SOCK_STREAM), _free(socket.SOCK_DGRAM)
        self.url = f"http://127.0.0.1:{self._http}"
        self._process: subprocess.Popen[bytes] | None = None
        self._holding: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RealAsterisk]:
        """Started and answering; ended when left. Raises ``NoAsterisk``."""
        server = await asyncio.start_server(self._answered, "127.0.0.1", 0)
        try:
            self._configure(server.sockets[0].getsockname()[1])
            await self.start()
            yield self
        finally:
            self.kill()
            server.close()
            for task in self._holding:
                task.cancel()
            await asyncio.gather(*self._holding, return_exceptions=True)

    async def start(self) -> None:
        program, _ = command()
        config = str(self.folder / "etc/asterisk.conf")
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - no waiting: it is only started
                [*program, "-f", "-C", config], stdout=output, stderr=output
            )
        async with httpx.AsyncClient(auth=(USER, PASSWORD)) as client, asyncio.timeout(60):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    up = await client.get(f"{self.url}/ari/asterisk/info")
                    if up.status_code == 200 and (await self.channels()) == []:
                        return
                if self._process.poll() is not None:
                    raise NoAsterisk(f"Asterisk ended with {self._process.returncode}; see {self.folder}/output")
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def channels(self) -> list[dict[str, object]]:
        async with httpx.AsyncClient(auth=(USER, PASSWORD)) as client:
            found = (await client.get(f"{self.url}/ari/channels")).json()
        return list(found)

    def asked(self, cli: str) -> str:
        """What the console answers to a command."""
        program, _ = command()
        config = str(self.folder / "etc/asterisk.conf")
        return subprocess.run([*program, "-C", config, "-rx", cli], capture_output=True, text=True, timeout=30).stdout

    async def telephone(self, number: str = "100", limit: float = 20.0) -> Telephone:
        """The telephone that was answered next at ``number``."""
        async with asyncio.timeout(limit):
            return await self.telephones[number].get()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._holding.add(task)
            task.add_done_callback(self._holding.discard)
        kind, size = struct.unpack(">BH", await reader.readexactly(3))
        who = str(uuid.UUID(bytes=await reader.readexactly(size)))
        number = next(number for number, known in _HELD.items() if kind == 0x01 and known == who)
        telephone = Telephone(reader, writer)
        await self.telephones[number].put(telephone)
        with contextlib.suppress(asyncio.CancelledError):  # asyncio's streams would report it as a fault
            await telephone.held()

    def _configure(self, audio_port: int) -> None:
        _, modules = command()
        etc = self.folder / "etc"
        for name in ("etc", "var", "run", "log", "spool", "db", "keys"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        data = modules.parents[3] / "share/asterisk"
        folders = {"etc": etc, "mod": modules, "varlib": self.folder / "var", "db": self.folder / "db",
                   "key": self.folder / "keys", "data": data, "agi": self.folder / "var",
                   "spool": self.folder / "spool", "run": self.folder / "run", "log": self.folder / "log"}  # fmt: skip
        files = {
            "asterisk": "[directories]\n" + "".join(f"ast{name}dir => {path}\n" for name, path in folders.items()),
            "logger": "[general]\n[logfiles]\nfull => notice,warning,error,verbose\n",
            # No native_rtp: a dialplan that plays the telephone does not hear what Asterisk passes to itself by it.
            "modules": "[modules]\nautoload = yes\nnoload = chan_mobile.so\nnoload = chan_iax2.so\n"
            "noload = chan_unistim.so\nnoload = pbx_dundi.so\nnoload = bridge_native_rtp.so\n",
            "http": f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {self._http}\n",
            "ari": f"[general]\nenabled = yes\n[{USER}]\ntype = user\nread_only = no\npassword = {PASSWORD}\n",
            "rtp": "[general]\nrtpstart = 20000\nrtpend = 20400\n",
            "pjsip": f"""
[transport]
type = transport
protocol = udp
bind = 127.0.0.1:{self._sip}

[trunk]
type = endpoint
transport = transport
context = phones
disallow = all
allow = ulaw,alaw
aors = trunk
direct_media = no

[trunk]
type = aor
contact = sip:127.0.0.1:{self._sip}

[trunk]
type = identify
endpoint = trunk
match = 127.0.0.1
""",
            "extensions": f"""
[queues]
exten => 600,1,Dial(PJSIP/600@trunk,30)

[phones]
exten => _[16]00,1,Ringing
 same => n,Wait(0.5)
 same => n,Answer
 same => n,AudioSocket(00000000-0000-4000-8000-000000000${{EXTEN}},127.0.0.1:{audio_port})
 same => n,Hangup
exten => busy,1,Busy(2)
exten => nobody,1,Ringing
 same => n,Wait(60)
exten => no-number,1,Hangup(1)
exten => refuses,1,Ringing
 same => n,Wait(0.5)
 same => n,Hangup(21)
exten => congested,1,Congestion(2)
exten => announced,1,Progress
 same => n,Wait(1)
 same => n,Hangup(20)
exten => keys,1,Answer
 same => n,Wait(1)
 same => n,SendDTMF(12#)
 same => n,Wait(30)
exten => leaves,1,Answer
 same => n,Wait(1)
 same => n,Hangup
exten => echo,1,Answer
 same => n,Set(GLOBAL(shown)=${{CALLERID(num)}})
 same => n,Echo
""",
        }
        for name, text in files.items():
            (etc / f"{name}.conf").write_text(text)


def available() -> str | None:
    """Why there is nothing to test with, or ``None``."""
    try:
        command()
    except NoAsterisk as e:
        return str(e)
    return None
