"""Where each side's sound belongs on the call's time line: pure arithmetic on sample positions, no clock, no disk.

A :class:`Timeline` holds the last few seconds of both channels in memory. Positions are sample frames since the
call's start at 8 kHz; ``now`` is the wall clock as such a position. Three ways of placing sound:

*live* — frames of the person, placed by their arrival. Sound cannot arrive before it was made, so a channel
whose cursor runs ahead of the clock was placed too late before: its last segment slides back into the silence
that a late frame had left in front of it, and the burst after a stall fills the stall exactly. A channel that
falls behind by more than ``TOLERANCE`` leaves silence; one that runs ahead by more with no silence to slide
into (its media clock is fast) drops the surplus with a cross-fade.

*queued* — the agent's frames, which the line plays one after the other however early they were sent.

*stamped* — frames that say when they begin to sound. They continue the channel's cursor while within
``TOLERANCE`` of it, else they are placed where they say; a frame from the past replaces what was there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from archive.wav import RATE

Pcm16 = NDArray[np.int16]

TOLERANCE = int(0.030 * RATE)
"""How far a channel may stray from the clock before it is brought back: 30 ms, to keep all errors below 40 ms."""
MAX_LEAD = 300 * RATE
"""How far ahead of the clock sound may be queued: it bounds the memory that a mistaken time stamp can claim."""
_FADE = RATE // 200  # 5 ms
_SLIGHT = RATE // 125  # 8 ms


@dataclass(slots=True)
class _Channel:
    cursor: int = 0  # where contiguous sound continues
    stamp: int = -1  # position of the latest stamped frame, to tell a late frame from the next one
    gaps: list[tuple[int, int]] = field(default_factory=list)  # silences that a segment may slide back into


class Timeline:
    """Two channels of int16 samples, from ``base`` (what lies before is final and forgotten) onwards."""

    def __init__(self) -> None:
        self.base = 0
        self.dirty = 0
        """First position that changed since :meth:`clean`."""
        self.lost = 0
        """Samples that came too late, too early, or faster than time passes, and are not in the recording."""
        self._frames: Pcm16 = np.zeros((RATE, 2), np.int16)
        self._channels = (_Channel(), _Channel())

    @property
    def end(self) -> int:
        """Where the sound in memory ends at the latest."""
        return self.base + len(self._frames)

    def cursor(self, channel: int) -> int:
        return self._channels[channel].cursor

    def place_live(self, channel: int, pcm: Pcm16, now: int) -> None:
        """Place ``pcm``, which has just arrived and begins to sound at ``now`` at the latest."""
        c = self._channels[channel]
        ahead = c.cursor - now
        if ahead > 0:
            ahead -= self._slide_back(channel, ahead)
        if ahead > TOLERANCE:
            pcm = self._drop(channel, pcm, ahead)
        elif -ahead > TOLERANCE:
            c.gaps.append((max(c.cursor, self.base), now))
            c.cursor = now
        self._put(channel, c.cursor, pcm)
        c.cursor += len(pcm)

    def place_queued(self, channel: int, pcm: Pcm16, now: int) -> None:
        """Place ``pcm`` behind what is still to sound, or at ``now`` where nothing is."""
        c = self._channels[channel]
        if now - c.cursor > TOLERANCE:
            c.cursor = now
        pcm = self._within_lead(pcm, c.cursor, now)
        self._put(channel, c.cursor, pcm)
        c.cursor += len(pcm)

    def place_at(self, channel: int, pcm: Pcm16, position: int, now: int) -> None:
        """Place ``pcm``, which says that it begins to sound at ``position``."""
        pcm = self._within_lead(pcm, position, now)
        if len(pcm) == 0:
            return
        c = self._channels[channel]
        c.gaps.clear()
        late, ahead = position < c.stamp, position - c.cursor
        c.stamp = max(c.stamp, position)
        # A lead of a whole frame means that a frame is missing, not that this one jitters.
        if not late and -TOLERANCE <= ahead <= min(TOLERANCE, len(pcm) * 9 // 10):
            position = c.cursor
        self._put(channel, position, pcm)
        end = position + len(pcm)
        c.cursor = max(c.cursor, end) if late else end

    def truncate(self, channel: int, position: int) -> None:
        """Take back the channel's sound from ``position`` on."""
        c = self._channels[channel]
        position = max(position, self.base)
        if position >= self.end:
            return
        self._frames[position - self.base :, channel] = 0
        self.dirty = min(self.dirty, position)
        c.cursor = min(c.cursor, position)
        c.stamp = min(c.stamp, position - 1)
        c.gaps = [(a, b) for a, b in c.gaps if b < position]

    def copy(self, start: int, end: int) -> Pcm16:
        """Frames ``start``–``end`` as an array (n, 2); silence where nothing was placed. ``start >= base``."""
        out = np.zeros((max(0, end - start), 2), np.int16)
        have = self._frames[start - self.base : max(start, end) - self.base]
        out[: len(have)] = have
        return out

    def clean(self, position: int) -> None:
        """Everything before ``position`` has been taken for writing."""
        self.dirty = position

    def forget(self, position: int) -> None:
        """Make everything before ``position`` final."""
        if position <= self.base:
            return
        kept = self._frames[position - self.base :]
        frames = np.zeros((max(len(kept), RATE), 2), np.int16)
        frames[: len(kept)] = kept
        self._frames, self.base = frames, position
        for c in self._channels:
            c.gaps = [(max(a, position), b) for a, b in c.gaps if b > position]

    def _put(self, channel: int, position: int, pcm: Pcm16) -> None:
        if position < self.base:  # later than the window allows
            self.lost += min(len(pcm), self.base - position)
            pcm, position = pcm[self.base - position :], self.base
        at, end = position - self.base, position - self.base + len(pcm)
        if end > len(self._frames):
            frames = np.zeros((max(end, 2 * len(self._frames)), 2), np.int16)
            frames[: len(self._frames)] = self._frames
            self._frames = frames
        self._frames[at:end, channel] = pcm
        self.dirty = min(self.dirty, position)

    def _within_lead(self, pcm: Pcm16, position: int, now: int) -> Pcm16:
        room = max(0, now + MAX_LEAD - position)
        self.lost += max(0, len(pcm) - room)
        return pcm[:room]

    def _slide_back(self, channel: int, wanted: int) -> int:
        """Move the channel's last segment up to ``wanted`` samples back into the silence before it."""
        c = self._channels[channel]
        moved = 0
        while moved < wanted and c.gaps:
            gap_start, gap_end = c.gaps[-1]
            step = min(wanted - moved, gap_end - gap_start)
            at, end = gap_end - self.base, c.cursor - self.base
            lane = self._frames[:, channel]
            lane[at - step : end - step] = lane[at:end].copy()
            lane[end - step : end] = 0
            self.dirty = min(self.dirty, gap_end - step)
            c.cursor -= step
            moved += step
            if step == gap_end - gap_start:
                c.gaps.pop()
            else:
                c.gaps[-1] = (gap_start, gap_end - step)
        return moved

    def _drop(self, channel: int, pcm: Pcm16, surplus: int) -> Pcm16:
        """``pcm`` without its first ``surplus`` samples, faded into what was placed before it.

        A little too much (a media clock that is fast) costs half a frame at a time, to leave room for the fade.
        """
        if surplus <= TOLERANCE + _SLIGHT:
            surplus = min(surplus, len(pcm) // 2)
        self.lost += min(len(pcm), surplus)
        kept, skipped = pcm[surplus:].copy(), pcm[:surplus]
        fade = min(_FADE, len(kept), len(skipped))
        weight = np.linspace(0.0, 1.0, fade, dtype=np.float32)
        kept[:fade] = np.round(kept[:fade] * weight + skipped[:fade] * (1 - weight)).astype(np.int16)
        return kept
