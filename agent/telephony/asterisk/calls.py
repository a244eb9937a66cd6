"""What Asterisk's events say of one phone channel: that it rings, is up, presses keys, is gone, and why.

Sans-IO but for two timers. A PBX tells the same thing more than once and not always in one order: the end of a dial
(``Dial`` with BUSY, CONGESTION, …), a hang-up request, ``StasisEnd``, and ``ChannelDestroyed`` with the cause. The
last one decides; where it stays out, the others do after ``GRACE``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.telephony.asterisk.audiosocket import AudioSocketLine
from agent.telephony.asterisk.media import AsteriskLine
from agent.telephony.carrier import DialStatus, Progress

GRACE: Final = 2.0
"""Seconds that ``ChannelDestroyed`` may come after whatever else says that the channel is gone."""
LOST: Final = -1
"""In place of a cause: the channel ended while nobody listened."""
_FINAL: Final[Mapping[str, int]] = {
    "BUSY": 17, "NOANSWER": 19, "CANCEL": 16, "CONGESTION": 34, "CHANUNAVAIL": 3, "DONTCALL": 21, "TORTURE": 21,
    "INVALIDARGS": 28,
}  # fmt: skip
"""The statuses with which a dial ends unanswered, as the Q.850 cause that each of them stands for."""
_VAGUE: Final = frozenset({0, 16, 31})
"""Causes that say nothing of an unanswered dial: none, normal clearing, normal and unspecified."""
_TIME_OVER: Final = 32
"""None of Q.850: what Asterisk 20 tells when the time of a dial is over (its flag of an explicit soft hang-up)."""


@dataclass(slots=True)
class PbxCall:
    """What is known of one attempt. ``ended`` holds the phone channel's Q.850 cause once it is gone, or ``LOST``.

    ``created``: Asterisk has the channel; ``entered``: it is in our application, which may now ask things of it;
    ``rang``: it rang, or sent early media (183), in which many networks play their ringing.
    """

    attempt_id: str
    progress: Progress | None
    media_in: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    created: bool = False
    rang: bool = False
    line: AsteriskLine | AudioSocketLine | None = None
    _said: int = 0
    _asked: int = 0

    def on_phone_event(self, event: Mapping[str, Any], channel: Mapping[str, Any]) -> None:
        """An event of the phone's channel. ``channel`` is the event's ``channel``, or the ``peer`` of a ``Dial``."""
        kind, status = event.get("type"), event.get("dialstatus")
        if kind == "StasisStart":
            self.entered.set()
        if kind == "Dial":
            if status in ("RINGING", "PROGRESS", "PROCEEDING"):
                self._ringing(status != "PROCEEDING")
            elif status == "ANSWER":
                self.up.set()
            elif isinstance(status, str) and status in _FINAL:
                self._said = _FINAL[status]
                self._end_later()
        elif kind == "ChannelDestroyed":
            self.end(_cause(event))
        elif kind == "ChannelHangupRequest":
            self._asked = _cause(event)
        elif kind == "StasisEnd":
            self._end_later()
        elif kind == "ChannelDtmfReceived":
            digit = event.get("digit")
            if self.line is not None and isinstance(digit, str):
                self.line.pressed(digit, "channel")
        elif channel.get("state") == "Up":
            self.up.set()
        elif kind == "ChannelStateChange" and channel.get("state") in ("Ring", "Ringing"):
            self._ringing()

    def end(self, cause: int) -> None:
        """The phone's channel is gone."""
        if not self.up.is_set() and cause in _VAGUE:
            cause = self._said or self._asked or cause
        if not self.ended.done():
            self.ended.set_result(cause)
        if self.line is not None:
            self.line.far_end_gone()

    def seen(self, state: str | None) -> None:
        """What the PBX's list says of the channel after events were missed; ``None``: it is not there any more."""
        self.entered.set()
        if state is None:
            self.end(LOST)
        elif state == "Up":
            self.up.set()
        elif state in ("Ring", "Ringing"):
            self._ringing()

    def tell(self, status: DialStatus) -> None:
        if self.progress is not None:
            self.progress(status)

    def _ringing(self, rings: bool = True) -> None:
        if rings and not self.rang:
            self.rang = True
            self.tell(DialStatus("ringing"))

    def _end_later(self) -> None:
        def over() -> None:
            if not self.ended.done():
                self.end(self._asked or 16)

        if not self.ended.done():
            asyncio.get_running_loop().call_later(GRACE, over)


def _cause(event: Mapping[str, Any]) -> int:
    """The Q.850 cause that an event tells, 0 where it tells none."""
    cause = event.get("cause")
    if not isinstance(cause, int) or cause < 0:
        return 0
    return 19 if cause == _TIME_OVER else cause
