"""The call's clock: seconds since the call was answered, and the wall time that belongs to them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class CallClock:
    """Starts when made. ``at_answer`` lets a simulated call happen at another wall time (always aware, UTC)."""

    def __init__(self, at_answer: datetime | None = None) -> None:
        if at_answer is not None and at_answer.tzinfo is None:
            raise ValueError("at_answer must carry a time zone")
        self._start = time.monotonic()
        self.answered_at = (at_answer or datetime.now(UTC)).astimezone(UTC)

    def now(self) -> float:
        """Seconds since the call was answered."""
        return time.monotonic() - self._start

    def wall(self) -> datetime:
        """The call's wall time now, UTC."""
        return self.answered_at + timedelta(seconds=self.now())
