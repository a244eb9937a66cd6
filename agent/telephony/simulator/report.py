"""What the simulated person can tell after the call: turns, response gaps as heard, how it ended."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agent.telephony.media_streams import FRAME_BYTES
from agent.telephony.simulator.ear import FRAME_S, THRESHOLD_DB, AgentTurn
from audio.g711 import Pcm16, decode, to_float
from audio.telephone import RATE

HungUpBy = Literal["agent", "borrower", "carrier", "limit", "refused"]
_WINDOW = RATE // 200  # 5 ms
_STOPPED_WITHIN_S = 0.6


@dataclass(frozen=True, slots=True)
class Turn:
    """Who spoke when, in seconds since the answer; ends are the last audible sample. ``text`` is "" for the agent.

    ``gap_ms`` (borrower's turns): from that end to the agent's next first audible sample, ``None`` where no
    answer came, the borrower spoke again first, or the agent was already speaking.
    """

    who: Literal["borrower", "agent"]
    start: float
    end: float
    text: str = ""
    gap_ms: float | None = None


@dataclass(frozen=True, slots=True)
class BorrowerReport:
    """One simulated call from the far end of the line.

    ``answered_at``: seconds since 1970, ``None`` if the socket was refused. ``overlaps``: times the agent began
    to speak while the borrower was speaking. ``unplayed_ms``: sound that was still queued at the end.
    ``missed_steps``: required steps of the scenario that were not reached. ``protocol_errors``: what the agent
    sent that a carrier would not accept. ``recording``: WAV, 8 kHz, channel 1 what was said, 2 what was heard.
    """

    call_id: str
    scenario: str
    lang: str
    seed: int
    expected_disposition: str
    voice: str
    answered_at: float | None
    duration_s: float
    turns: tuple[Turn, ...]
    gaps_ms: tuple[float, ...]
    overlaps: int
    marks_echoed: tuple[str, ...]
    clears_received: int
    underruns: int
    unplayed_ms: int
    hung_up_by: HungUpBy
    missed_steps: tuple[int, ...]
    close_code: int | None
    error: str | None
    protocol_errors: tuple[str, ...]
    recording: Path | None

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``json.dumps``."""
        return {**asdict(self), "recording": None if self.recording is None else str(self.recording)}


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance as it went out: sample offsets since the answer, and whether it was cut off."""

    text: str
    start: int
    end: int
    cut: bool = False


def timeline(said: Sequence[Said], agent: Sequence[AgentTurn], heard: Pcm16) -> tuple[tuple[Turn, ...], int]:
    """All turns in order, with response gaps, and how often the agent began while the borrower spoke.

    ``heard`` is what was played, 8 kHz; the agent's onsets are refined in it to 5 ms.
    """
    onsets = [_onset(heard, turn.start) for turn in agent]
    ends = [turn.end * FRAME_BYTES / RATE for turn in agent]
    turns = [Turn("agent", start, end) for start, end in zip(onsets, ends, strict=True)]
    overlaps = 0
    for i, words in enumerate(said):
        start, end = words.start / RATE, words.end / RATE
        until = said[i + 1].start / RATE if i + 1 < len(said) else float("inf")
        overlaps += sum(start <= onset < end for onset in onsets)
        gap = None if words.cut or not words.text else _gap(start, end, until, onsets, ends)
        turns.append(Turn("borrower", start, end, words.text, gap))
    return tuple(sorted(turns, key=lambda turn: turn.start)), overlaps


def _gap(start: float, end: float, until: float, onsets: Sequence[float], ends: Sequence[float]) -> float | None:
    for onset, finish in zip(onsets, ends, strict=True):
        if onset < end < finish and (onset >= start or finish - end > _STOPPED_WITHIN_S):
            return None  # the agent answered too early, or would not be interrupted
        if onset >= end:
            return round((onset - end) * 1000, 1) if onset < until else None
    return None


def _onset(heard: Pcm16, frame: int) -> float:
    """Seconds of the first 5 ms above the threshold, from one frame before ``frame`` on."""
    first = max(0, frame - 1) * FRAME_BYTES
    part = to_float(heard[first : first + 5 * FRAME_BYTES])
    whole = len(part) // _WINDOW * _WINDOW
    power = np.mean(part[:whole].reshape(-1, _WINDOW) ** 2, axis=1)
    loud = np.flatnonzero(10 * np.log10(power + 1e-10) > THRESHOLD_DB)
    if len(loud) == 0:
        return frame * FRAME_S
    return float(first + loud[0] * _WINDOW) / RATE


def write_recording(path: Path, said: bytes, heard: bytes) -> Pcm16:
    """Write both channels (mu-law in, 16-bit WAV out); returns the heard one."""
    channels = [decode(said), decode(heard)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())
    return channels[1]
