"""Live calls as server-sent events (WHATWG HTML, 9.2): what a page is told as calls change.

A stream ends when its reader leaves, when its session ends, or when calls do. Each reader has one slot a call, so a
slow reader gets fewer updates, never a longer queue.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool

from archive.flagging import reason_kind, severity_rank
from console.context import LiveCalls
from console.i18n import PageLang, translator
from console.live_names import LiveNames
from console.privacy import hide
from sentiment.labels import SHOWN_EMOTIONS

KEEP_ALIVE = 15.0
"""Seconds without news after which a comment is sent; proxies drop connections that are silent for longer."""
RETRY_MS = 3000


def shown(call: Mapping[str, Any], lang: PageLang, names: LiveNames | None) -> dict[str, Any]:
    """One live call as a page shows it, in the reader's language. With ``names`` its names and numbers are covered."""
    hidden = () if names is None else names.of(call)
    if call.get("ended"):
        return {"call_id": call["call_id"], "ended": True}
    _ = translator(lang)
    text = str(call.get("text") or "")
    emotion = call.get("emotion")
    started = call["started_at"]
    flags: list[dict[str, Any]] = [
        {"reason": _(reason_kind(flag["reason"])), "severity": severity_rank(flag["severity"])}
        for flag in call.get("flags", ())
    ]
    return {
        "call_id": call["call_id"],
        "lang": call["lang"],
        "campaign": call.get("campaign") or "",
        "started_at": started.isoformat() if isinstance(started, datetime) else str(started),
        "state": call.get("state", "live"),
        "state_name": _(f"state: {call.get('state', 'live')}"),
        "emotion": emotion or "",
        "emotion_name": SHOWN_EMOTIONS[emotion].name[lang] if emotion in SHOWN_EMOTIONS else "–",
        "who": call.get("who") or "",
        "who_name": _(str(call["who"])) if call.get("who") else "",
        "text": text if names is None else hide(text, hidden),
        "flags": flags,
        "severity": max((flag["severity"] for flag in flags), default=0),
        "can_take_over": bool(call.get("can_take_over", True)),
    }


async def all_shown(live: LiveCalls, lang: PageLang, names: LiveNames | None) -> list[dict[str, Any]]:
    """Every live call as :func:`shown`."""
    snapshot = live.snapshot()
    return await run_in_threadpool(lambda: [shown(call, lang, names) for call in snapshot])


def event(kind: str, data: Any) -> bytes:
    """One event. JSON keeps the data on one line, whatever was said."""
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


async def events(
    live: LiveCalls,
    lang: PageLang,
    names: LiveNames | None,
    allowed: Callable[[], Awaitable[bool]],
    keep_alive: float = KEEP_ALIVE,
) -> AsyncIterator[bytes]:
    """``calls`` once with all there are, then ``call`` for each change; ``closed`` once ``allowed`` says no, which is
    asked every ``keep_alive`` seconds."""
    loop = asyncio.get_running_loop()
    changes = live.changes()  # before the snapshot: nothing is lost between them
    coming: asyncio.Task[Mapping[str, Any] | None] | None = None
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        yield event("calls", await all_shown(live, lang, names))
        check_at = loop.time() + keep_alive
        while True:
            if coming is None:
                coming = loop.create_task(_next(changes))
            await asyncio.wait({coming}, timeout=max(0.0, check_at - loop.time()))
            if loop.time() >= check_at:
                if not await allowed():
                    yield event("closed", {})
                    return
                check_at = loop.time() + keep_alive
                yield b": alive\n\n"
            if coming.done():
                call, coming = coming.result(), None
                if call is None:
                    return
                yield event("call", await run_in_threadpool(shown, call, lang, names))
    finally:
        if coming is not None:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming
        await closed(changes)


async def sound(
    pieces: AsyncIterator[bytes], allowed: Callable[[], Awaitable[bool]], every: float = KEEP_ALIVE
) -> AsyncIterator[bytes]:
    """The pieces while ``allowed``, which is asked every ``every`` seconds."""
    loop = asyncio.get_running_loop()
    check_at = loop.time() + every
    try:
        async for piece in pieces:
            if loop.time() >= check_at:
                if not await allowed():
                    return
                check_at = loop.time() + every
            yield piece
    finally:
        await closed(pieces)


async def closed(source: AsyncIterator[Any]) -> None:
    """Tell a source that nobody reads it any more, where it wants to know."""
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()


async def _next(changes: AsyncIterator[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return await anext(changes, None)
