"""The agent's own voice comes back while it speaks, through the real detector and the real recogniser, as a call does.

What the agent sends passes mu-law, the far end's echo path, a delay, and mu-law again; a person may speak into it. A
line that is held or cut falls silent, and so does its echo.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import pytest

from agent.echo import OwnVoice
from agent.events import Lang
from agent.frames import (
    BargeInFrame,
    CallerStartedFrame,
    GoOnFrame,
    HeardFrame,
    HoldFrame,
    LineStartedFrame,
)
from asr.whisper import FasterWhisper
from audio.espeak import Voice, synthesize
from audio.g711 import Floats, decode, encode, to_float, to_pcm16
from audio.telephone import RATE, band_limit, noise, resample, set_level
from compliance_checks.approved import ApprovedLine
from tests.agent.hearing_playbook import PACKET, Playbook, call

Path = Literal["hybrid", "room"]
LEAD = 480
"""Samples that the agent sends before they sound."""
PAUSE = 0.6
TEXT: dict[Lang, str] = {
    "zh": "您可以在官方应用里还款也可以联系我们的工作人员",
    "en": "You can pay in the application or talk to one of our colleagues",
}
PROTEST: dict[Lang, str] = {
    "zh": "等一下你们打错了我不认识这个人别再打来了",
    "en": "Wait a second you have the wrong number please stop calling me",
}
VOICES: dict[Lang, tuple[str, str]] = {"zh": ("cmn+f2", "cmn+m3"), "en": ("en-us+f2", "en-us+m3")}


@pytest.fixture(scope="module")
def model() -> FasterWhisper:
    return FasterWhisper.load()


@cache
def said(lang: Lang, text: str, who: int) -> Floats:
    pcm, rate = synthesize(text, Voice(VOICES[lang][who], 172, 48, 45))
    return set_level(band_limit(resample(to_float(pcm), rate, RATE), 200, 3600), -19.0)


def response(path: Path, gain_db: float) -> Floats:
    """``hybrid``: 8 ms, as where four wires become two (ITU-T G.168); ``room``: a loudspeaker telephone, 0.25 s."""
    rng = np.random.default_rng(4)
    size = RATE // 125 if path == "hybrid" else RATE // 4
    decay = 10 ** (-3 * np.arange(size) / size)
    taps = rng.standard_normal(size) * decay
    if path == "room":
        taps[0] = 10.0  # what goes straight from the loudspeaker to the microphone
    return (taps * 10 ** (gain_db / 20) / np.sqrt(np.sum(taps**2))).astype(np.float32)


@dataclass
class Echoing:
    """The far end of one call. ``delay`` in seconds, ``gain_db`` of the echo to what was sent."""

    play: Playbook
    own: OwnVoice
    path: Path
    gain_db: float
    delay: float
    back: Floats = field(default_factory=lambda: np.zeros(60 * RATE, np.float32))
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(8))

    async def line(self, agent: Floats, person: Floats | None = None, after: float = 0.0) -> list[float]:
        """The agent says a line and is silent; ``person`` speaks ``after`` seconds into it. Returns when it was held,
        in seconds after the person's first sound (or the line's)."""
        approved = cast(ApprovedLine, SimpleNamespace(line_id="line"))
        before = len(self.play.out.of(HoldFrame))
        begun = self.play.clock.t
        await self.play.tell(LineStartedFrame(approved, begun))
        pcm, sent, way = to_pcm16(agent), 0, response(self.path, self.gain_db)
        mouth = np.zeros(len(agent) + round(PAUSE * RATE), np.float32)
        if person is not None:
            first = round(after * RATE)
            mouth[first : first + len(person)] += person[: len(mouth) - first]
        start = round(begun * RATE)
        for at in range(0, len(mouth) - PACKET, PACKET):
            silent = len(self.play.out.of(HoldFrame)) > len(self.play.out.of(GoOnFrame))
            if silent or self.play.out.of(BargeInFrame):
                self.own.stop(self.play.clock.t)
                pcm = pcm[:sent]
            while sent < min(len(pcm), at + LEAD):
                chunk = pcm[sent : sent + PACKET]
                self.own.say(begun + sent / RATE, chunk)
                came = np.convolve(to_float(decode(encode(chunk))), way)
                first = start + sent + round(self.delay * RATE)
                self.back[first : first + len(came)] += came
                sent += PACKET
            hum = noise(PACKET, 1.0, self.rng) * np.float32(10 ** (-62 / 20))
            heard = self.back[start + at : start + at + PACKET] + mouth[at : at + PACKET] + hum
            await self.play.send(decode(encode(to_pcm16(heard))))
        return [f.at - begun - after for f in self.play.out.of(HoldFrame)[before:]]

    def frames(self, *kinds: Any) -> list[Any]:
        return [f for f in self.play.out.frames if isinstance(f, kinds)]


ECHOES: list[tuple[Lang, Path, float, float]] = [
    ("zh", "hybrid", -12.0, 0.05), ("zh", "hybrid", -30.0, 0.2), ("en", "room", -15.0, 0.4),
]  # fmt: skip
LANGS: tuple[Lang, ...] = ("zh", "en")
PATHS: tuple[Path, ...] = ("hybrid", "room")
ALL_ECHOES = [
    (lang, path, gain, delay)
    for lang in LANGS
    for path in PATHS
    for gain in (-12.0, -21.0, -30.0)
    for delay in (0.05, 0.2, 0.4)
]
INTO: list[tuple[Lang, Path, float, float, float]] = [
    ("zh", "hybrid", -12.0, 0.2, -19.0), ("en", "room", -12.0, 0.1, -19.0), ("en", "hybrid", -12.0, 0.4, -27.0),
]  # fmt: skip
ALL_INTO = [
    (lang, path, gain, delay, level)
    for lang in LANGS
    for path in PATHS
    for gain in (-12.0, -20.0)
    for delay in (0.05, 0.4)
    for level in (-17.0, -27.0)
]


async def echo_alone(model: FasterWhisper, lang: Lang, path: Path, gain_db: float, delay: float) -> Echoing:
    own = OwnVoice()
    async with call(model, lang=lang, own=own, detector=True) as play:
        await play.quiet(0.3)
        end = Echoing(play, own, path, gain_db, delay)
        await end.line(said(lang, TEXT[lang], 0))
        await end.line(said(lang, TEXT[lang], 0))
        await play.quiet(0.8)
    return end


@pytest.mark.parametrize(("lang", "path", "gain_db", "delay"), ECHOES)
async def test_our_own_voice_coming_back_is_nobody(
    model: FasterWhisper, lang: Lang, path: Path, gain_db: float, delay: float
) -> None:
    end = await echo_alone(model, lang, path, gain_db, delay)
    assert end.frames(HoldFrame, BargeInFrame, HeardFrame, CallerStartedFrame) == []


async def test_the_same_sound_is_somebody_where_it_is_not_known_as_our_own(model: FasterWhisper) -> None:
    """What the tests above would see if nothing told echoes apart."""
    async with call(model, lang="en", detector=True) as play:
        await play.quiet(0.3)
        end = Echoing(play, OwnVoice(), "hybrid", -18.0, 0.1)
        assert await end.line(said("en", TEXT["en"], 0))


@pytest.mark.slow
@pytest.mark.parametrize(("lang", "path", "gain_db", "delay"), ALL_ECHOES)
async def test_at_every_delay_and_level(
    model: FasterWhisper, lang: Lang, path: Path, gain_db: float, delay: float
) -> None:
    """In a loud room a line may be held for a moment, before it is known how the room sounds, or as its sound dies."""
    end = await echo_alone(model, lang, path, gain_db, delay)
    assert end.frames(BargeInFrame, HeardFrame) == []
    held = end.frames(HoldFrame)
    assert len(held) <= (2 if path == "room" and gain_db > -15 else 0)


async def spoken_into(
    model: FasterWhisper, lang: Lang, path: Path, gain_db: float, delay: float, level: float
) -> tuple[Echoing, list[float]]:
    own = OwnVoice()
    async with call(model, lang=lang, own=own, detector=True) as play:
        await play.quiet(0.3)
        end = Echoing(play, own, path, gain_db, delay)
        person = set_level(said(lang, PROTEST[lang], 1), level)
        audible = int(np.argmax(np.abs(person) > 0.01)) / RATE
        holds = await end.line(said(lang, TEXT[lang] + " " + TEXT[lang], 0), person, after=1.3)
        await play.quiet(1.0)
    return end, [at - audible for at in holds if at > audible]


@pytest.mark.parametrize(("lang", "path", "gain_db", "delay", "level"), INTO)
async def test_a_person_who_speaks_into_the_echo_stops_the_agent(
    model: FasterWhisper, lang: Lang, path: Path, gain_db: float, delay: float, level: float
) -> None:
    end, holds = await spoken_into(model, lang, path, gain_db, delay, level)
    assert holds[0] <= 0.3
    assert end.frames(BargeInFrame)


@pytest.mark.slow
@pytest.mark.parametrize(("lang", "path", "gain_db", "delay", "level"), ALL_INTO)
async def test_at_every_level_of_voice_and_echo(
    model: FasterWhisper, lang: Lang, path: Path, gain_db: float, delay: float, level: float
) -> None:
    """Somebody who is hardly louder than the echo is told from it later."""
    end, holds = await spoken_into(model, lang, path, gain_db, delay, level)
    assert holds[0] <= (0.9 if level - (-19 + gain_db) < 6 else 0.5)
    assert end.frames(BargeInFrame)
