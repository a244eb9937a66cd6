# ruff: noqa: E501 - tables, one entry a line
"""Being talked over: how soon the agent is silent, and what it lets pass, as the far end of the line hears it.

A simulated person speaks into a line of the agent's: an interruption, a back-channel ("嗯", "uh-huh"), a noise, or the
agent's own voice comes back as an echo. Hearing (detector, recogniser, rules) and the line's output are those of a
call, in real time; only dialogue and carrier are left out. The time runs from the person's first audible sample (in the
5 ms from which his level is above -45 dBFS) to the agent's last one before 0.3 s of silence, in what the carrier played
to him. The peer is the same agent without its first step: it waits for words.

    python benchmarks/interruptions.py [--quick] [--json] [--trials N] [--parallel N]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from agent.clock import CallClock
from agent.events import CallFacts, Lang, Proposed
from agent.frames import BargeInFrame, EventFrame, GoOnFrame, HoldFrame, SpeechFrame, SpokenFrame
from agent.speech.speaker import EspeakSpeaker, VoiceStyle
from agent.telephony.line import AudioReceived, LineEvent, MarkPlayed
from agent.telephony.simulator.scenario import LINES
from agent.telephony.simulator.sound import Mouth, Playout
from agent.telephony.simulator.voices import AUDIBLE_DB, VOICES, speak
from asr.transcriber import Transcriber
from audio.espeak import Voice
from audio.g711 import Floats, Pcm16, decode, encode, to_float, to_pcm16
from audio.telephone import RATE, band_limit, noise
from compliance_checks.approved import ApprovedLine
from compliance_checks.gate import Gate

Kind = Literal["interruption", "back_channel", "noise", "echo"]
WORDS: dict[str, dict[Lang, tuple[str, ...]]] = {
    "interruption": {
        "zh": ("等一下", "我没有钱", "你打错了", "我不是张明", "别再打来了", "我现在没空", "我已经还了", "你说什么", "我要投诉你们", "我下周三再还"),
        "en": ("wait a second", "I can't pay", "wrong number", "stop calling me", "I already paid that", "who is this", "I am busy right now", "I lost my job", "what did you say", "let me talk to somebody"),
    },
    "back_channel": {
        "zh": ("嗯", "嗯嗯", "好的", "哦", "是的", "知道了", "对"),
        "en": ("uh-huh", "okay", "yeah", "right", "I see", "mhm"),
    },
}  # fmt: skip
LINE: dict[Lang, str] = {
    "zh": "您可以在官方应用里还款也可以联系我们的工作人员了解适合您的还款安排",
    "en": "You can pay in the application or talk to one of our colleagues about a plan that suits you",
}
"""Without a comma: a pause for breath would count as giving way."""
_FRAME = RATE // 50
_WINDOW = RATE // 200


@dataclass(frozen=True, slots=True)
class Trial:
    """One line talked over. ``quality`` names the person's line; the sound begins ``after`` seconds into ours."""

    kind: Kind
    lang: Lang
    text: str
    quality: str
    after: float
    seed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """``silent_ms``: from the person's first audible sample to the agent's last before it fell silent, ``None`` where
    it talked on; ``paused_ms``: how long a line that went on was held; ``complete``: the line was said to its end.
    """

    trial: Trial
    silent_ms: float | None
    paused_ms: float
    held: int
    complete: bool
    meant: bool


class FarEnd:
    """A carrier and a person, a 20 ms packet at a time in real time, as the simulated carrier does both."""

    carrier = "simulated"

    def __init__(self, sound: Floats, quality: str, seed: int, *, echo: bool) -> None:
        self._playout, self._mouth = Playout(), Mouth(LINES[quality], np.random.default_rng(seed))
        self._sound, self._echo = sound, echo
        self._events: asyncio.Queue[LineEvent] = asyncio.Queue()
        self._back: deque[Floats] = deque([np.zeros(_FRAME, np.float32)] * 9)  # 180 ms to the far end and back
        self.heard: list[Pcm16] = []
        self.said_at: int | None = None
        self._speak_at: float | None = None

    def speak_in(self, seconds: float) -> None:
        self._speak_at = len(self.heard) * _FRAME / RATE + seconds

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            await asyncio.sleep(max(0.0, began + len(self.heard) * 0.02 - loop.time()))
            played, marks = self._playout.tick()
            frame = len(self.heard)
            if self._speak_at is not None and frame * 0.02 >= self._speak_at and self.said_at is None:
                self.said_at = frame * _FRAME
                self._mouth.say(self._sound)
            self.heard.append(decode(played))
            said = decode(self._mouth.tick())
            if self._echo:
                self._back.append(to_float(self.heard[-1]))
                room = np.convolve(np.concatenate([self._back[0], self._back[1]]), [0.6, 0.3, 0.1, -0.05])
                came_back = 0.25 * room[_FRAME : 2 * _FRAME].astype(np.float32)
                self._back.popleft()
                said = decode(encode(to_pcm16(to_float(said) + came_back)))
            self._events.put_nowait(AudioReceived(said))
            for name in marks:
                self._events.put_nowait(MarkPlayed(name))

    async def events(self) -> AsyncIterator[LineEvent]:
        while True:
            yield await self._events.get()

    async def send_audio(self, pcm: Pcm16) -> None:
        self._playout.push(encode(pcm))

    async def send_mark(self, name: str) -> None:
        self._playout.mark(name)

    async def clear(self) -> None:
        self._playout.clear()

    async def hang_up(self, reason: str) -> None:
        return


def sound_of(trial: Trial) -> Floats:
    """What the person's telephone picks up."""
    rng = np.random.default_rng(trial.seed)
    line = LINES[trial.quality]
    if trial.kind == "echo":
        return np.zeros(_FRAME, np.float32)
    if trial.kind == "noise":
        size = int(rng.uniform(0.1, 0.6) * RATE)
        burst = band_limit(noise(size, float(rng.uniform(0, 2)), rng), 200, 3400)
        fade = np.minimum(1.0, np.arange(size) / 160) * np.exp(-np.arange(size) / (size / 3))
        return np.asarray(burst * fade * rng.uniform(0.1, 0.4), np.float32)
    names = VOICES[trial.lang]
    voice = Voice(names[int(rng.integers(len(names)))], int(rng.integers(150, 191)), int(rng.integers(35, 66)), 50)
    return speak(trial.text, voice, line).samples


def first_audible(sound: Floats) -> int:
    whole = sound[: len(sound) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    loud = np.flatnonzero(10 * np.log10(np.mean(whole**2, axis=1) + 1e-10) > AUDIBLE_DB)
    return int(loud[0]) * _WINDOW if len(loud) else 0


def silences(heard: Pcm16, start: int, least: float = 0.3) -> tuple[int, int] | None:
    """The first silence of ``least`` seconds after sample ``start``: its first sample, and the first after it."""
    windows = to_float(heard)[start : start + (len(heard) - start) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    loud = 10 * np.log10(np.mean(windows**2, axis=1) + 1e-10) > AUDIBLE_DB
    need, run = int(least * RATE / _WINDOW), 0
    for i, on in enumerate(loud):
        if on:
            if run >= need:
                return start + (i - run) * _WINDOW, start + i * _WINDOW
            run = 0
        else:
            run += 1
    return (start + (len(loud) - run) * _WINDOW, len(heard)) if run >= need else None


def approved(gate: Gate, lang: Lang) -> ApprovedLine:
    done = frozenset({"ai_disclosure", "recording_disclosure", "debt_collector_notice"})
    facts = CallFacts(lang, "borrower", "cn" if lang == "zh" else "us", {}, done)
    verdict, line = gate.approve(Proposed("long", LINE[lang], lang), facts)
    if line is None:
        raise RuntimeError(f"the gate refuses the benchmark's own line: {verdict}")
    return line


async def play(trial: Trial, model: Transcriber, line: ApprovedLine, pcm: Pcm16, *, holds: bool, home: Path) -> Outcome:
    """One trial in real time."""
    from pipecat.frames.frames import EndFrame, Frame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
    from pipecat.workers.runner import WorkerRunner

    from agent.echo import OwnVoice
    from agent.hearing import Hear
    from agent.telephony.stages import LineInput, LineOutput
    from archive.recorder import Recorder

    over = asyncio.Event()
    seen: list[Frame] = []

    class Watch(FrameProcessor):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, SpokenFrame | BargeInFrame | EventFrame):
                seen.append(frame)
                if isinstance(frame, SpokenFrame):
                    over.set()
            if holds or not isinstance(frame, HoldFrame | GoOnFrame):
                await self.push_frame(frame, direction)

    sound = sound_of(trial)
    end = FarEnd(sound, trial.quality, trial.seed, echo=trial.kind == "echo")
    clock, own = CallClock(), OwnVoice()
    recorder = Recorder(home / f"{trial.kind}-{trial.lang}-{trial.seed}-{holds}.wav", clock.now, start=0.0)
    hear = Hear(model, clock, trial.lang, turn_model=None, own=own if holds else None)
    stages = [LineInput(end, clock, recorder), hear, Watch(), LineOutput(end, clock, recorder, own)]
    worker = PipelineWorker(
        Pipeline(stages), params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
        enable_rtvi=False, enable_turn_tracking=False, idle_timeout_secs=None,
    )  # fmt: skip
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    far = asyncio.create_task(end.run())
    try:
        await asyncio.sleep(0.6)
        await worker.queue_frame(SpeechFrame(line, pcm))
        end.speak_in(trial.after)
        async with asyncio.timeout(60):
            await over.wait()
        await asyncio.sleep(0.5)
    finally:
        await worker.queue_frame(EndFrame())
        await running
        far.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await far
        recorder.close()
    # An echo may cut its own line before anything else was to be said.
    began = (end.said_at or 0) + first_audible(sound)
    silence = silences(np.concatenate(end.heard), began) if end.said_at is not None else None
    last = began + len(sound) + RATE  # what falls silent later than this did not do it for the person
    spoken = next(f.spoken for f in seen if isinstance(f, SpokenFrame))
    held = [f.payload for f in seen if isinstance(f, EventFrame) and f.kind == "line_held"]
    return Outcome(
        trial,
        None if silence is None or silence[0] > last else max(0.0, (silence[0] - began) / RATE * 1000),
        sum(1000 * float(str(each["seconds"])) for each in held),
        len(held),
        not spoken.interrupted,
        any(isinstance(f, BargeInFrame) for f in seen),
    )


def trials(count: int) -> list[Trial]:
    """``count`` of each kind, over both languages, four lines and every text; seeded."""
    out = []
    for kind in get_args(Kind):
        for i in range(count):
            rng = np.random.default_rng([i, *kind.encode()])
            lang: Lang = ("zh", "en")[i % 2]  # type: ignore[assignment]
            texts = WORDS.get(kind, {lang: ("",)})[lang]
            quality = list(LINES)[int(rng.integers(len(LINES)))]
            out.append(Trial(kind, lang, texts[i // 2 % len(texts)], quality, float(rng.uniform(0.7, 2.2)), i))
    return out


async def run_all(count: int, parallel: int, model: Transcriber) -> tuple[list[Outcome], list[Outcome]]:
    """Every trial with the first step, and without: ours and the peer's."""
    gate, voice = Gate.load(None), EspeakSpeaker()
    lines = {lang: approved(gate, lang) for lang in get_args(Lang)}
    sounds = {lang: voice.render(line, VoiceStyle()) for lang, line in lines.items()}
    limit = asyncio.Semaphore(parallel)
    with tempfile.TemporaryDirectory(prefix="callgate-over-") as folder:

        async def one(trial: Trial, holds: bool) -> Outcome:
            async with limit:
                return await play(
                    trial, model, lines[trial.lang], sounds[trial.lang], holds=holds, home=Path(folder)
                )  # fmt: skip

        # In turn, so that other work on the machine burdens both alike.
        outcomes = await asyncio.gather(*(one(trial, holds) for trial in trials(count) for holds in (True, False)))
        return outcomes[::2], outcomes[1::2]


def rows(ours: Sequence[Outcome], peer: Sequence[Outcome]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []

    def row(figure: str, unit: str, a: list[float], b: list[float], q: float | None = None) -> None:
        x, y = (
            round(float(np.percentile(v, q) if q is not None else 100 * np.mean(v)), 1) if v else None for v in (a, b)
        )
        ratio = round(x / y, 3) if x is not None and y else None
        out.append({"figure": figure, "ours": x, "peer": y, "peer_name": "the same agent, waiting for words",
                    "ratio": ratio, "unit": unit, "n": len(a), "n_peer": len(b)})  # fmt: skip

    def of(side: Sequence[Outcome], kind: str) -> list[Outcome]:
        return [o for o in side if o.trial.kind == kind]

    def silent(side: Sequence[Outcome]) -> list[float]:
        return [o.silent_ms for o in of(side, "interruption") if o.silent_ms is not None]

    for q in (50, 95):
        row(f"agent silent after an interruption p{q}", "ms", silent(ours), silent(peer), q)
    row("agent silent within 200 ms of an interruption", "%", *([v <= 200 for v in silent(s)] for s in (ours, peer)))
    row("interruptions after which the line was given up", "%",
        *([not o.complete for o in of(side, "interruption")] for side in (ours, peer)))  # type: ignore[arg-type]  # fmt: skip
    for kind, name in (("back_channel", "back-channels"), ("noise", "noises"), ("echo", "lines with an echo")):
        row(f"{name} after which the line was said to its end", "%",
            *([o.complete for o in of(side, kind)] for side in (ours, peer)))  # type: ignore[arg-type]  # fmt: skip
        row(f"{name} that held the line", "%", *([o.held > 0 for o in of(side, kind)] for side in (ours, peer)))  # type: ignore[arg-type]
    paused = [[o.paused_ms for o in of(side, "back_channel") if o.held and o.complete] for side in (ours, peer)]
    for q in (50, 95):
        row(f"line held for a back-channel p{q}", "ms", *paused, q)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4 trials of each kind")
    parser.add_argument("--trials", type=int, default=20, help="trials of each kind")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="one line a trial on standard error")
    parser.add_argument("--parallel", type=int, default=2, help="lines that are talked over at the same time")
    args = parser.parse_args()
    from loguru import logger

    logger.remove()  # before pipecat greets
    from asr.whisper import FasterWhisper

    model = FasterWhisper.load()
    ours, peer = asyncio.run(run_all(4 if args.quick else args.trials, args.parallel, model))
    if args.verbose:
        for a, b in zip(ours, peer, strict=True):
            print(replace(a.trial), a.silent_ms, a.held, a.complete, "|", b.silent_ms, b.complete, file=sys.stderr)
    table = rows(ours, peer)
    if args.json:
        json.dump(table, sys.stdout, indent=1, ensure_ascii=False)
        print()
        return
    for r in table:
        print(f"{r['figure']}: {r['ours']} against {r['peer']} {r['unit']} (n={r['n']}, {r['n_peer']})")


if __name__ == "__main__":
    main()
