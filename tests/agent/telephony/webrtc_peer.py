"""A browser's side of the softphone, without a browser: an aiortc peer whose microphone plays what it is given."""

from __future__ import annotations

import asyncio
import json
import time
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from av import AudioFrame, AudioResampler

RATE = 48000
FRAME = RATE // 50


class Microphone(AudioStreamTrack):
    """Plays what ``say`` was given (48 kHz, 16 bit), silence otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = np.zeros(0, np.int16)
        self._due: float | None = None
        self._at = 0

    def say(self, pcm: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        self._waiting = np.concatenate([self._waiting, pcm])

    @property
    def silent(self) -> bool:
        return len(self._waiting) == 0

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._due = now if self._due is None or now - self._due > 0.5 else self._due
        await asyncio.sleep(max(0.0, self._due - now))
        self._due += 0.02
        out = np.zeros(FRAME, np.int16)
        taken = self._waiting[:FRAME]
        out[: len(taken)] = taken
        self._waiting = self._waiting[FRAME:]
        frame = AudioFrame.from_ndarray(out[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._at, Fraction(1, RATE)
        self._at += FRAME
        return frame


class Peer:
    """``heard`` is what arrived, 8 kHz; ``told`` the messages of the data channel."""

    def __init__(self, configuration: RTCConfiguration | None = None) -> None:
        self.connection = RTCPeerConnection(configuration or RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.told: list[dict[str, Any]] = []
        self._heard: list[np.ndarray[Any, np.dtype[np.int16]]] = []
        self._listening: asyncio.Task[None] | None = None
        self.connection.addTrack(self.microphone)
        self.channel = self.connection.createDataChannel("callgate")
        self.channel.on("message", lambda message: self.told.append(json.loads(message)))
        self.connection.on("track", self._on_track)

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def send(self, **message: Any) -> None:
        self.channel.send(json.dumps(message))

    @property
    def heard(self) -> np.ndarray[Any, np.dtype[np.int16]]:
        return np.concatenate([np.zeros(0, np.int16), *self._heard])

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        await self.connection.close()

    def _on_track(self, track: Any) -> None:
        async def listen() -> None:
            resampler = AudioResampler("s16", "mono", 8000)
            while True:
                try:
                    frame = await track.recv()
                except MediaStreamError:
                    return
                for part in resampler.resample(frame):
                    self._heard.append(part.to_ndarray().reshape(-1))

        self._listening = asyncio.create_task(listen())


async def until(condition: Any, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
